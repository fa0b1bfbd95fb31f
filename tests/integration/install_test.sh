#!/usr/bin/env bash
# install_test.sh BUILD SOURCE: installs the client library into a folder of its own, builds the example
# from there by pkg-config and by CMake, and runs both against a daemon.
set -euo pipefail
build=$1 source=$2

work=$(mktemp -d -p /dev/shm)  # frames lie in memory
daemon=
finish() {
  if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then wait "$daemon" || true; fi
  rm -rf "$work"
}
trap finish EXIT
complain() { echo "install_test: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$work/first" --component client >/dev/null
# Whatever was noted of the folder at install time must not matter.
mv "$work/first" "$work/prefix"
library=$(dirname "$(find "$work/prefix" -name libfallow.so.0)")
[ -f "$work/prefix/share/man/man3/fallow.3" ] || complain "the manual page is missing"

# The C API alone is to be seen.
others=$(nm -D --defined-only "$library/libfallow.so.0" | awk '$2 != "A" && $3 !~ /^fallow_.*@@FALLOW_0\.1$/')
[ -z "$others" ] || complain "the library shows: $others"
declared=$(grep -oE '\bfallow_[a-z_]+\(' "$work/prefix/include/fallow/fallow.h" | tr -d '(' | sort -u)
shown=$(nm -D --defined-only "$library/libfallow.so.0" | sed -n 's/.* T \(.*\)@@.*/\1/p' | sort -u)
missing=$(comm -23 <(printf '%s\n' "$declared") <(printf '%s\n' "$shown"))
[ -z "$missing" ] || complain "declared and not there: $missing"

export PKG_CONFIG_PATH=$library/pkgconfig
for language in 'c -std=c99' 'c++ -std=c++98'; do
  # shellcheck disable=SC2086
  echo '#include <fallow/fallow.h>' |
    ${CC:-cc} -x $language -Wall -Wextra -pedantic -Werror -fsyntax-only $(pkg-config --cflags fallow) -
done
# shellcheck disable=SC2046
${CC:-cc} -Wall -Wextra -Werror "$source/examples/park/park.c" -o "$work/park" \
  $(pkg-config --cflags --libs fallow)
cmake -S "$source/examples/park" -B "$work/park-build" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/park-build" >/dev/null

cat >"$work/fallowd.toml" <<END
[node]
memory = "16M"
arena = "$work"
run_dir = "$work/run"
[policy]
spec = "greedy"
[metrics]
listen = "off"
END
"$build/bin/fallowd" --config "$work/fallowd.toml" 2>"$work/log" &
daemon=$!
export FALLOW_RING_SOCKET=$work/run/ring.sock
for _ in $(seq 300); do
  [ -S "$FALLOW_RING_SOCKET" ] && break
  sleep 0.1
done
for park in "$work/park" "$work/park-build/park"; do
  said=$(LD_LIBRARY_PATH=$library "$park" 500)
  [ "$said" = "parked 500 of 500 pages, and took them back" ] || complain "the example says: $said"
  # More than there is: refusals are no failure.
  said=$(LD_LIBRARY_PATH=$library "$park" 100000)
  [[ $said == "parked "*" of 100000 pages, and took them back" ]] || complain "the example says: $said"
done

if command -v mandoc >/dev/null; then
  mandoc -T lint -W warning "$source/docs/fallow.3"
fi
