# A bare Debian system of some release, to run build.sh in: for the soaks of this folder, which read this file.
#
# A system is debootstrap's minbase, made once for each release and kept (build/soak/RELEASE.minbase), and copied for each
# run. Commands run in it by chroot with mounts and processes of their own, so nothing outlives them. Packages come from the
# mirrors that this machine's own apt uses, and are kept (build/soak/RELEASE.debs); so do the sources of the libraries
# ($WINDLASS_DL or build/dl). The network is this machine's.

top=$(cd "$(dirname "$0")/../.." && pwd)
soak=${SOAK_DIR:-$top/build/soak}
dl=${WINDLASS_DL:-$top/build/dl}

die()
{
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# sources RELEASE: the lines of a sources.list, by this machine's own
sources()
{
	. /etc/os-release
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' | sort -u >"$soak/mirrors"
	main=$(awk -v s="$VERSION_CODENAME" '$1 == s { print $2; exit }' "$soak/mirrors")
	security=$(awk -v s="$VERSION_CODENAME-security" '$1 == s { print $2; exit }' "$soak/mirrors")
	[ -n "$main" ] || die "no apt source for $VERSION_CODENAME in this machine's source list"
	printf 'deb %s %s main\ndeb %s %s-updates main\n' "$main" "$1" "$main" "$1"
	[ -z "$security" ] || printf 'deb %s %s-security main\n' "$security" "$1"
}

# fresh RELEASE TREE: a new copy of that release's minbase
fresh()
{
	[ "$(id -u)" = 0 ] || die "a system of its own is made by root"
	command -v debootstrap >/dev/null || die "not installed: debootstrap"
	mkdir -p "$soak" "$dl" "$soak/$1.debs/partial"
	base=$soak/$1.minbase
	if [ ! -d "$base" ]; then
		printf '%s: making minbase of %s (once)\n' "$(basename "$0")" "$1"
		sources "$1" >"$soak/sources"
		rm -rf "$base.new"
		debootstrap --variant=minbase "$1" "$base.new" "$(awk '{ print $2; exit }' "$soak/sources")" >"$soak/$1.log" 2>&1 || {
			tail -n 20 "$soak/$1.log" >&2
			die "debootstrap failed; all of its output is in $soak/$1.log"
		}
		cp "$soak/sources" "$base.new/etc/apt/sources.list"
		apt-config dump | grep -iE '^Acquire::(https?|ftp)::[^ ]*proxy' >"$base.new/etc/apt/apt.conf.d/90proxy" || :
		mv "$base.new" "$base"
	fi
	rm -rf "$2"
	cp -a "$base" "$2"
	cp /etc/resolv.conf /etc/hosts "$2/etc/"
	mkdir -p "$2/dl"
	git -c safe.directory='*' clone --quiet "file://$top" "$2/windlass"
	[ -z "$(git -c safe.directory='*' -C "$top" status --porcelain --untracked-files=no)" ] ||
	    printf '%s: what is not committed is not in it\n' "$(basename "$0")"
}

# inside RELEASE TREE COMMAND...: in the clone there
inside()
{
	release=$1 tree=$2
	shift 2
	unshare --mount --pid --fork --kill-child sh -c '
		set -e
		tree=$1 debs=$2 dl=$3
		shift 3
		mount --make-rprivate /
		mount -t proc proc "$tree/proc"
		mount --rbind /sys "$tree/sys"
		mount --rbind /dev "$tree/dev"
		mount -t tmpfs tmpfs "$tree/run"
		mount -t tmpfs tmpfs "$tree/tmp"
		mount --bind "$debs" "$tree/var/cache/apt/archives"
		mount --bind "$dl" "$tree/dl"
		exec chroot "$tree" env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb WINDLASS_DL=/dl JOBS="$jobs" \
		    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "cd /windlass && exec \"\$@\"" sh "$@"' \
	    sh "$tree" "$soak/$release.debs" "$dl" "$@"
}

jobs=${JOBS:-$(nproc)}
export jobs
