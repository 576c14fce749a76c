#!/usr/bin/env bash
# Writes the golden files under */testdata from the real Java classes, so that "go test" needs no Java.
#
#   golden.sh [ROOT [CLASS ...]]
#
# ROOT is the folder that receives the files (default: this repository). Without CLASS every *Golden
# class of scripts/golden/java runs, each with ROOT as its argument. $PEER_LIB names a folder with the
# jars of RocketMQ $PEER_VERSION (5.5.0); default /root/peer/lib, else Maven fetches them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "${1:-$here/../..}" && pwd)
shift $(( $# > 0 ? 1 : 0 ))
version=${PEER_VERSION:-5.5.0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lib=${PEER_LIB:-/root/peer/lib}
if [ ! -e "$lib/rocketmq-remoting-$version.jar" ]; then
  lib=${XDG_CACHE_HOME:-$HOME/.cache}/skylark-golden/$version
  if [ ! -e "$lib/rocketmq-remoting-$version.jar" ]; then
    {
      echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
      echo '<groupId>golden</groupId><artifactId>golden</artifactId><version>1</version><dependencies>'
      for a in broker namesrv tools controller; do
        echo "<dependency><groupId>org.apache.rocketmq</groupId><artifactId>rocketmq-$a</artifactId><version>$version</version></dependency>"
      done
      echo '</dependencies></project>'
    } > "$work/pom.xml"
    mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$lib" >&2
  fi
fi

mkdir -p "$work/classes" "$work/home"
echo '<configuration><root level="OFF"/></configuration>' > "$work/classes/rmq.logback-test.xml" # no log to stdout
javac -nowarn -encoding UTF-8 -cp "$lib/*" -d "$work/classes" "$here"/java/*.java
if [ $# -eq 0 ]; then
  set --
  for f in "$here"/java/*Golden.java; do
    set -- "$@" "$(basename "$f" .java)"
  done
fi
for class in "$@"; do
  # The zone is fixed because some bodies carry local times; user.home takes the logs.
  java -Xmx512m -Duser.timezone=UTC -Dfile.encoding=UTF-8 -Duser.home="$work/home" -Drocketmq.home.dir="$work/home" \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    -cp "$work/classes:$lib/*" "$class" "$root"
  echo "$class: written below $root"
done
