# shellcheck shell=bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by build.sh: staged folders become Debian packages, these a signed repository.

package() { # package CONTROL_FILES STAGED NAME VERSION POOL
    local control=$1 root=$2 name=$3 version=$4 pool=$5 size
    mkdir -p "$root/usr/share/doc/$name" "$root/DEBIAN"
    printf 'PostgreSQL, under the PostgreSQL Licence; built from registry packages for test hosts.\n' >"$root/usr/share/doc/$name/copyright"
    find "$root/usr" -type d -exec chmod 755 {} +
    find "$root/usr/share" -type f -exec chmod 644 {} +
    size=$(du -ks "$root/usr" | cut -f1)
    install -m 755 "$control"/* "$root/DEBIAN/"
    sed -i "s/@VERSION@/$version/; s/@SIZE@/$size/" "$root/DEBIAN/control"
    chmod 644 "$root/DEBIAN/control"
    # Not compressed: the packages never leave this machine, and packing would be most of the build.
    dpkg-deb --root-owner-group -Znone --build "$root" "$pool/${name}_${version}_amd64.deb" >/dev/null
}

publish() { # publish REPOSITORY SUITE SECRET_KEY
    local repository=$1 suite=$2 secret=$3 index=$1/dists/$2
    mkdir -p "$index/main/binary-amd64"
    (cd "$repository" && apt-ftparchive packages pool) >"$index/main/binary-amd64/Packages"
    gzip -nk "$index/main/binary-amd64/Packages"
    apt-ftparchive \
        -o APT::FTPArchive::Release::Origin="PostgreSQL 16 for test hosts" \
        -o APT::FTPArchive::Release::Suite="$suite" -o APT::FTPArchive::Release::Codename="$suite" \
        -o APT::FTPArchive::Release::Architectures=amd64 -o APT::FTPArchive::Release::Components=main \
        release "$index" >"$repository/Release"
    mv "$repository/Release" "$index/Release" # made elsewhere, so that it does not list itself
    sign "$index" "$secret"
    mv "$index/key.asc" "$repository/key.asc"
}

# The key is this clone's own, made once and kept outside the repository's folder: hosts that trust it go on doing so after the
# next build. gpg's home is short-lived because its socket's path has a limit of 108 characters.
sign() { # sign INDEX SECRET_KEY
    local index=$1 secret=$2
    GNUPGHOME=$(mktemp -d)
    export GNUPGHOME
    if [ -s "$secret" ]; then
        gpg --batch --quiet --import "$secret"
    else
        gpg --batch --quiet --passphrase '' --quick-generate-key 'multimaster.postgresql test repository' ed25519 sign never
        (umask 077 && gpg --batch --quiet --armor --export-secret-keys >"$secret")
    fi
    gpg --batch --quiet --armor --export >"$index/key.asc"
    gpg --batch --quiet --clearsign --output "$index/InRelease" "$index/Release"
    gpg --batch --quiet --armor --detach-sign --output "$index/Release.gpg" "$index/Release"
    gpgconf --kill all
    rm -rf "$GNUPGHOME"
    unset GNUPGHOME
}
