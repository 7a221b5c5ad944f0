#!/bin/sh
# The one entry: builds windlass on a fresh Debian 12 or 13, and tests it.
#
# Prints one line for each step; what the steps say is in build/log. A second
# run does only what changed. Run ./build.sh help for the verbs.

set -eu

cd "$(dirname "$0")"
root=$(pwd)
log=$root/build/log

# What must be installed, one place for all of it. To build the binary:
packages_build="gcc make libc6-dev linux-libc-dev binutils patch curl ca-certificates bzip2 xz-utils git tzdata tzdata-legacy"
# and to test it, run the rig, the demo, the benchmarks and the fuzzers:
packages_test="python3 debootstrap systemd-container docker.io docker-registry docker-cli busybox-static
    iproute2 iptables openssl openssh-client openssh-server procps psmisc jq util-linux e2fsprogs
    cppcheck python3-pyflakes clang clang-tidy libclang-rt-14-dev libclang-rt-19-dev
    mandoc groff-base zsh fish qemu-user"
# and to make what is given away, for both architectures:
packages_dist="python3 gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
# Units that some of those start at once where systemd runs; they would take
# the ports and the networks that the rig makes for itself, or let people in:
# PACKAGE/UNIT.
units_unwanted="docker.io/docker.service docker.io/docker.socket docker.io/containerd.service
    docker-registry/docker-registry.service openssh-server/ssh.service"

usage()
{
	cat <<'EOF'
usage: ./build.sh [verb]

  (none)          build dist/windlass, with dist/windlass.debug beside it
  vendor          only the third-party libraries (build does this too)
  test [part...]  build and run every test; parts: walls lint unit musl sandbox fuzz release manual deb arm64 alone e2e
  soak [name]     a test that takes longer than that; without a name: which there are
  demo            a small pipeline on the rig, watched live
  bench           measure speed and size, print a table
  fuzz [seconds]  let each fuzzer run for that long (60)
  dist            what is given away: binaries and Debian packages for amd64 and arm64, the manual, checksums, an SBOM and a VEX
  clean           remove what was built, keep what was downloaded

  WINDLASS_DL=DIR        keep the downloaded sources there
  JOBS=N                 compile so many files at once (the number of processors)
EOF
}

die()
{
	printf 'build.sh: %s\n' "$*" >&2
	exit 1
}

# run NAME COMMAND...: a step; its output is shown only when it fails
run()
{
	name=$1
	shift
	start=$(date +%s)
	printf '%-28s' "$name"
	if "$@" >"$log/$name.log" 2>&1; then
		printf 'ok (%d s)\n' $(($(date +%s) - start))
		return
	fi
	printf 'FAILED\n'
	tail -n 40 "$log/$name.log"
	die "$name failed; all of its output is in build/log/$name.log"
}

missing_packages()
{
	for p; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		*" installed") continue ;;
		esac
		# Names differ between releases (libclang-rt-14-dev is
		# Debian 12's); what apt does not know is not wanted here.
		known_package "$p" && echo "$p"
	done
}

known_package()
{
	[ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

install_packages()
{
	export DEBIAN_FRONTEND=noninteractive
	# sysvinit's way to say "do not start what you install"
	RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" || return
	if [ -d /run/systemd/system ]; then
		for unit in $units_unwanted; do
			case " $* " in
			*" ${unit%/*} "*) systemctl disable --now "${unit#*/}" || : ;;
			esac
		done
	fi
}

# The lists may be absent, or older than what the mirror has: once is enough.
update_lists()
{
	[ -z "$(find build/.apt-updated -mmin -600 2>/dev/null)" ] || return 0
	run apt-update apt-get update
	: >build/.apt-updated
}

# need PACKAGE...: installs what is not there yet
need()
{
	command -v dpkg-query >/dev/null || die "this needs Debian 12 or 13 (no dpkg-query here)"
	known_package gcc || [ "$(id -u)" != 0 ] || update_lists
	wanted=$(missing_packages "$@" | tr '\n' ' ')
	[ -n "$wanted" ] || return 0
	[ "$(id -u)" = 0 ] || die "not installed: $wanted(run as root, or: apt-get install $wanted)"
	update_lists
	run apt-install install_packages $wanted
}

# pytest belongs to the python3 that runs it, which may not be Debian's
need_pytest()
{
	python3 -m pytest --version >/dev/null 2>&1 && return
	case $(command -v python3) in
	/usr/bin/python3) need python3-pytest ;;
	*) run pip-pytest python3 -m pip install --quiet pytest ;;
	esac
}

jobs=${JOBS:-$(nproc)}

in_make()
{
	make -s -f src/Makefile -j"$jobs" "$@"
}

# (A function that is judged by "if" runs without set -e: hence the &&.)
make_vendor()
{
	vendor/fetch &&
	    JOBS=$jobs vendor/build &&
	    vendor/gen &&
	    # Our objects know their headers and not the libraries' or the
	    # compiler, so those that were built with others go.
	    forget "build/sysroot/$(uname -m)" release musl &&
	    forget build/hostdeps asan
}

# forget LIBRARIES FLAVOR...
forget()
{
	with=$(cat "$1"/.built-* | sha256sum)
	shift
	for flavor; do
		[ "$with" = "$(cat "build/$flavor/.built-with" 2>/dev/null)" ] && continue
		rm -rf "build/$flavor"
		mkdir -p "build/$flavor"
		# make does not miss the objects as long as what was linked
		# from them is newer than the sources
		case $flavor in
		release) rm -f dist/windlass dist/windlass.debug ;;
		aarch64) rm -rf build/dist/linux-arm64 ;;
		esac
		printf '%s\n' "$with" >"build/$flavor/.built-with"
	done
}

build()
{
	need $packages_build
	run vendor make_vendor
	run windlass in_make release
}

# count LOG STATUS: "passed failed" of a part, from its last line when that is
# "N passed, N failed", else from its TAP. A part that ended badly has failed
# at least once, and so has one that tested nothing.
count()
{
	awk -v status="$2" '
	    /^[0-9]+ passed, [0-9]+ failed$/ { said = 1; sp = $1; sf = $3; next }
	    NF { said = 0 }
	    /^ok/ && !/# *(skip|SKIP)/ { p++ }
	    /^not ok/ { f++ }
	    END {
		if (said) { p = sp; f = sf }
		if (f == 0 && (status != 0 || p == 0)) f = 1
		printf "%d %d\n", p, f
	    }' "$1"
}

# Where this differs from run: what fails is counted, and the rest goes on.
# part NAME COMMAND...
part()
{
	name=$1
	shift
	start=$(date +%s)
	printf '%-28s' "test $name"
	status=0
	"$@" >"$log/test-$name.log" 2>&1 || status=$?
	set -- $(count "$log/test-$name.log" $status)
	passed=$((passed + $1))
	failed=$((failed + $2))
	printf '%d passed, %d failed (%d s)\n' "$1" "$2" $(($(date +%s) - start))
	[ "$2" != 0 ] || return 0
	grep -E '^not ok|^FAILED|^ERROR|^#|^cannot run|: [0-9]+ passed, [1-9]|[: ]error: ' "$log/test-$name.log" |
	    head -n 80 || :
	printf -- '-- the end of build/log/test-%s.log:\n' "$name"
	tail -n 15 "$log/test-$name.log"
}

# programs FLAVOR FOLDER PATTERN: what became of the sources in tests/FOLDER
programs()
{
	for f in tests/"$2"/$3.c; do
		printf 'build/%s/%s/%s\n' "$1" "$2" "$(basename "$f" .c)"
	done
}

# What does not compile has failed, and the rest is run all the same. Scripts
# (*.t) drive a tool of tests/tools, which is built with the sanitizers.
unit()
{
	built=0
	in_make -k "$1" || built=1
	scripts=
	[ "$1" != asan ] || scripts=$(ls tests/unit/*.t)
	tests/tap $(programs "$1" unit '*_test') $scripts && [ $built = 0 ]
}

lint()
{
	bad=0
	tests/lint/check || bad=1
	tests/lint/programs || bad=1
	tests/lint/counts --check || bad=1
	return $bad
}

# What each role can still do, tried from inside its own confinement.
sandbox()
{
	in_make build/musl/tools/sandbox_acts && tests/e2e/run -j1 tests/sandbox/test_sandbox.py
}

fuzz_replay()
{
	built=0
	in_make -k asan || built=1
	tests/fuzz/replay build/asan/fuzz && [ $built = 0 ]
}

# Each fuzzer for some time, its finds beside the seeds it started from.
fuzz()
{
	JOBS=$jobs vendor/build fuzzdeps && forget build/fuzzdeps fuzz || die "the libraries do not build for the fuzzers"
	# the warnings are judged where gcc and the linters look
	in_make fuzz WARN=-w || die "the fuzzers do not build"
	for source in tests/fuzz/*_fuzz.c; do
		name=$(basename "$source" _fuzz.c)
		corpus=build/fuzz/corpus/$name
		mkdir -p "$corpus"
		printf '%-28s' "fuzz $name"
		if build/fuzz/fuzz/"${name}_fuzz" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		    -artifact_prefix="$corpus/" "$corpus" tests/fuzz/seeds/"$name" >"$log/fuzz-$name.log" 2>&1; then
			awk '/number_of_executed_units/ { print "ok (" $2 " inputs)" }' "$log/fuzz-$name.log"
		else
			printf 'FAILED\n'
			tail -n 40 "$log/fuzz-$name.log"
			bad="${bad:-} $name"
		fi
	done
	[ -z "${bad:-}" ] || die "inputs that break:$bad; make each a seed in tests/fuzz/seeds"
}

e2e()
{
	in_make $(programs asan tools '*') build/musl/windlass || return
	# started in the background we would hand on that INT is ignored,
	# and the tests send it
	env --default-signal=INT,QUIT tests/e2e/run
}

tests()
{
	build
	need $packages_test
	need_pytest
	passed=0 failed=0
	[ $# -gt 0 ] || set -- walls lint unit musl sandbox fuzz release manual deb arm64 alone e2e
	for t; do
		case $t in
		walls)	part walls tests/walls ;;
		unit)	part unit unit asan ;;
		musl)	part musl unit musl ;;
		sandbox) part sandbox sandbox ;;
		fuzz)	part fuzz fuzz_replay ;;
		lint)	part lint lint ;;
		release) part release tests/release/check ;;
		manual)	part manual tests/release/manual ;;
		deb)	part deb tests/release/deb ;;
		arm64)	need $packages_dist
			part arm64 arm64 ;;
		alone)	part alone tests/release/alone ;;
		e2e)	part e2e e2e ;;
		*)	die "no such part: $t" ;;
		esac
	done
	printf '%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}

# The long tests, a program each in tests/soak. Its head says in lines "# soak:" and
# "# minutes:" what it does and how long; whoever adds one adds a file.
soaks()
{
	for f in tests/soak/*; do
		[ -x "$f" ] && [ -f "$f" ] || continue
		printf '  %-12s %4s min  %s\n' "$(basename "$f")" "$(sed -n 's/^# minutes: //p' "$f")" "$(sed -n 's/^# soak: //p' "$f")"
	done
}

# soak NAME ARGUMENT...
soak()
{
	[ -x "tests/soak/$1" ] && [ -f "tests/soak/$1" ] || {
		soaks >&2
		die "no such long test: $1"
	}
	build
	need $packages_test
	need_pytest
	name=$1
	shift
	exec "tests/soak/$name" "$@"
}

# A binary for another architecture than this machine's.
cross()
{
	ARCH=$1 JOBS=$jobs vendor/build sysroot &&
	    forget "build/sysroot/$1" "$1" &&
	    PATH="$root/build/sysroot/$1/tools:$PATH" in_make release ARCH="$1" OUT="build/$1" DIST="build/dist/$2" &&
	    tests/release/check --file-only "build/dist/$2"
}

# The other binary of dist, in an emulator.
arm64()
{
	cross aarch64 linux-arm64 &&
	    PATH="$root/build/sysroot/aarch64/tools:$PATH" in_make crosstests ARCH=aarch64 OUT=build/aarch64 &&
	    tests/release/arm64
}

dist()
{
	[ "$(uname -m)" = x86_64 ] || die "dist is made on amd64, this is $(uname -m)"
	build
	need $packages_dist
	run manual in_make manual
	run arm64 cross aarch64 linux-arm64
	rm -rf dist/windlass-* dist/*.deb dist/linux-*
	vendor/sbom >dist/windlass.spdx.json
	vendor/sbom vex >dist/windlass.vex.json
	for arch in amd64 arm64; do
		from=dist
		[ $arch = amd64 ] || from=build/dist/linux-$arch
		cp -p $from/windlass dist/windlass-linux-$arch
		cp -p $from/windlass.debug dist/windlass-linux-$arch.debug
		run "deb $arch" vendor/deb $arch $from/windlass build/manual dist/windlass.spdx.json dist
	done
	run "deb compat" vendor/deb compat dist
	tar --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=a+rX,go-w \
	    -C build/manual -c . | gzip -9n >dist/windlass-manual.tar.gz
	(cd dist && sha256sum windlass-linux-* *.deb windlass-manual.tar.gz windlass.spdx.json windlass.vex.json >SHA256SUMS)
	cat dist/SHA256SUMS
}

# The download of the sources is kept: it is the slow and fragile part.
clean()
{
	for f in build/* build/.apt-updated; do
		[ "$f" = build/dl ] || rm -rf "$f"
	done
	rm -rf dist
}

# What carries a date carries that of the sources.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

mkdir -p "$log"
case ${1:-build} in
build)
	build
	ls -l dist/windlass | awk '{ printf "dist/windlass: %d bytes\n", $5 }'
	;;
vendor)
	need $packages_build
	run vendor make_vendor
	;;
test)
	shift
	tests "$@"
	;;
soak)
	shift
	[ $# -gt 0 ] || set -- --list
	case $1 in
	--list)	soaks ;;
	*)	soak "$@" ;;
	esac
	;;
demo)
	shift
	build
	need $packages_test
	exec tests/rig/demo "$@"
	;;
bench)
	shift
	build
	need $packages_test
	exec tests/bench/run "$@"
	;;
fuzz)
	build
	need $packages_test
	fuzz "${2:-60}"
	;;
dist)
	dist
	;;
clean)
	clean
	;;
help | -h | --help)
	usage
	;;
*)
	usage >&2
	die "no such verb: $1"
	;;
esac
