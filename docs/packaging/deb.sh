#!/usr/bin/env bash
# deb.sh: the Debian package lca of this tree, .build/deb/lca_VERSION_ARCH.deb, from make
# install below an empty folder; lintian must have no error to report. Whoever passes a
# package on says who they are: LCA_MAINTAINER="Name <address>".
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(sed -n 's/.*LCA_VERSION "\(.*\)"/\1/p' src/base/version.h)
arch=$(dpkg --print-architecture)
when=$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}")
by=${LCA_MAINTAINER:-the lca authors <lca@lca.invalid>}
work=.build/deb root=.build/deb/root doc=.build/deb/root/usr/share/doc/lca
rm -rf "$work"
mkdir -p "$root/DEBIAN" "$work/debian"
make --no-print-directory -j"$(nproc)" install DESTDIR="$PWD/$root" PREFIX=/usr

programs=()
for program in "$root"/usr/bin/*; do
    [ "$(head -c 4 "$program")" != $'\x7fELF' ] || programs+=("$program")     # others are scripts
done
strip --strip-unneeded "${programs[@]}"
strip --strip-debug "$root"/usr/lib/liblca.a
find "$root/usr/share/man" -name '*.[157]' -exec gzip -9n {} +
rm "$doc/LICENSE"
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n'
    printf 'Copyright: %s\nLicense: Expat\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
    sed '1,/^Copyright/d; s/^$/./; s/^/ /' LICENSE | sed 1d
} >"$doc/copyright"
printf 'lca (%s) unstable; urgency=medium\n\n  * Version %s.\n\n -- %s  %s\n' "$version" "$version" "$by" "$when" |
    gzip -9n >"$doc/changelog.gz"

# dpkg-shlibdeps wants a source package's control file
printf 'Source: lca\n\nPackage: lca\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info "${programs[@]#"$work"/}" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
cat >"$root/DEBIAN/control" <<END
Package: lca
Version: $version
Architecture: $arch
Maintainer: $by
Section: science
Priority: optional
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: $depends, bsdextrautils, jq
Recommends: curl
Suggests: gnuplot-nox
Description: loss change allocation: which parameters made the loss fall
 While a neural network trains, LCA says how much each single parameter
 raised or lowered the loss of the whole training set in each step. The
 package has the programs of a pipeline (trainer, gradient workers,
 integrator, aggregators, taps), scripts that start them on known networks,
 and what is needed to write further filters in C.
END
find "$root" -type d -exec chmod 755 {} +
dpkg-deb --build --root-owner-group "$root" "$work/lca_${version}_$arch.deb" >/dev/null
lintian --fail-on error "$work/lca_${version}_$arch.deb"
echo "$work/lca_${version}_$arch.deb"
