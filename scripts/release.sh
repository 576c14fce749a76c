#!/usr/bin/env bash
# Builds what a release consists of into dist/: for each platform an archive with the binary, the wrappers and the
# deployment files, a CycloneDX list of the modules inside, and SHA256SUMS over all. The same commit and the same Go give the
# same bytes: no time but the commit's, no path of this machine.
#
#   scripts/release.sh [VERSION]
#
# VERSION: the tag of the commit, else 0.0.0-<commit>. PLATFORMS: os/arch words instead of all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

commit=$(git rev-parse HEAD)
date=$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)
version=${1:-$(git describe --tags --exact-match 2>/dev/null || echo "0.0.0-${commit:0:12}")}
version=${version#v}
[ -z "$(git status --porcelain)" ] || { echo "release: there are changes that are not committed" >&2; exit 1; }
module=$(go list -m)
flags="-s -w -buildid= -X $module/tools/boot.Version=$version -X $module/tools/boot.commit=$commit -X $module/tools/boot.date=$date"
platforms=${PLATFORMS:-linux/amd64 linux/arm64 linux/riscv64 linux/loong64 darwin/amd64 darwin/arm64 windows/amd64}

rm -rf dist
mkdir -p dist
for platform in $platforms; do
  os=${platform%/*} arch=${platform#*/} name=skylark-$version-$os-$arch
  echo "$name"
  dir=dist/$name
  binary=$dir/bin/skylark
  [ "$os" = windows ] && binary=$binary.exe
  mkdir -p "$dir/bin"
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOAMD64=v1 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$binary" .
  cp LICENSE README.md tools/config/KEYS.md "$dir"
  [ "$os" = windows ] || cp scripts/bin/* "$dir/bin"
  cp -R scripts/deploy/. "$dir/deploy"
  cp docs/operating.md "$dir"
  scripts/sbom.py "$binary" "$version" "$date" > "dist/$name.cdx.json"
  chmod -R u=rwX,go=rX "$dir"
  find "$dir" -exec touch -h -d "$date" {} +
  if [ "$os" = windows ]; then
    (cd dist && find "$name" -type f | LC_ALL=C sort | TZ=UTC zip -q -X -9 "$name.zip" -@)
  else
    tar -C dist --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mtime="$date" -cf - "$name" | gzip -9n > "dist/$name.tar.gz"
  fi
  rm -rf "$dir"
done
(cd dist && LC_ALL=C sha256sum -- skylark-* > SHA256SUMS)
cat dist/SHA256SUMS
