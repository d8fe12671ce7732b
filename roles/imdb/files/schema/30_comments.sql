-- Copyright (c) 2026 multimaster.postgresql contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What the tables and their less obvious columns hold.

COMMENT ON TABLE public.titles IS 'Films, series, episodes and other titles (title.basics)';
COMMENT ON COLUMN public.titles.tconst IS 'IMDb''s identifier of the title: tt and at least seven digits';
COMMENT ON COLUMN public.titles.title_type IS 'movie, short, tvSeries, tvEpisode, video ...';
COMMENT ON COLUMN public.titles.primary_title IS 'The title under which it is best known';
COMMENT ON COLUMN public.titles.original_title IS 'The title in the original language';
COMMENT ON COLUMN public.titles.start_year IS 'Year of release; of a series, the first year';
COMMENT ON COLUMN public.titles.end_year IS 'The last year of a series';
COMMENT ON TABLE public.generos IS 'Genres';
COMMENT ON COLUMN public.generos.id_genero IS 'Generated; the nodes'' sequences never yield the same value';
COMMENT ON TABLE public.title_generos IS 'The genres of each title (title.basics, genres)';
COMMENT ON TABLE public.title_akas IS 'Titles in other regions and languages (title.akas)';
COMMENT ON COLUMN public.title_akas.types IS 'alternative, dvd, festival, tv, video, working, original, imdbDisplay';
COMMENT ON TABLE public.title_episodes IS 'Which series an episode belongs to (title.episode)';
COMMENT ON TABLE public.title_ratings IS 'Users'' ratings (title.ratings)';
COMMENT ON TABLE public.names IS 'People (name.basics)';
COMMENT ON COLUMN public.names.nconst IS 'IMDb''s identifier of the person: nm and at least seven digits';
COMMENT ON TABLE public.name_professions IS 'Main professions of each person (name.basics, primaryProfession)';
COMMENT ON TABLE public.name_known_for IS 'Titles each person is known for (name.basics, knownForTitles)';
COMMENT ON TABLE public.title_directors IS 'Directors of each title (title.crew)';
COMMENT ON TABLE public.title_writers IS 'Writers of each title (title.crew)';
COMMENT ON TABLE public.title_principals IS 'Principal cast and crew of each title, in order of billing (title.principals)';
COMMENT ON COLUMN public.title_principals.category IS 'actor, actress, director, composer, self ...';
COMMENT ON TABLE public.title_principal_characters IS 'Characters played (title.principals, characters)';
COMMENT ON COLUMN public.title_principal_characters.position IS 'Place in the list of characters, from 1';
COMMENT ON TABLE public.imdb_load_journal IS 'Files loaded or being loaded, with progress and result; replicated with the rows';
COMMENT ON COLUMN public.imdb_load_journal.kind IS 'title.basics, name.basics ...';
COMMENT ON COLUMN public.imdb_load_journal.bytes_read IS 'Of size_bytes: the file as it is on disk, compressed or not';
COMMENT ON COLUMN public.imdb_load_journal.rejected IS 'Lines kept aside, with line number and reason, in the file of rejected lines';
COMMENT ON COLUMN public.imdb_load_journal.dropped_references IS 'Items of a list left out because they refer to nothing; their lines were loaded';
COMMENT ON COLUMN public.imdb_load_journal.orphans IS 'Rejected lines and dropped references that a later load of the files they refer to could cure';
