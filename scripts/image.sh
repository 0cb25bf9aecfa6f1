#!/bin/sh
# Builds the image of the gateway with buildah. It needs no running container engine. With
# base images from the command "bases", it needs no registry of images.
set -eu

usage() {
	cat <<'END'
usage: scripts/image.sh COMMAND

  bases   build sluice-build-base and sluice-run-base with debootstrap and the Go
          toolchain in PATH; sluice-run-base has libc and libstdc++, no shell and no apt
  build   build the image from the Dockerfile
  check   start it with the demo models and check that it serves, is healthy, writes
          only to /data, and stops in time
  clean   remove the images that these commands built

"bases" and "build" followed by "check" need root, buildah (1.28 or later) and, for
"bases", debootstrap and dpkg; "check" also needs curl, python3, iproute2, procps and
util-linux. Elsewhere "docker build ." or "podman build ." does the same as "build".

Environment:
  IMAGE       the name of the image (sluice:VERSION, from git describe)
  BUILD_BASE  base images for "build" (those of "bases" if they exist, otherwise those
  RUN_BASE      in the Dockerfile)
  SUITE       the Debian release for "bases" (bookworm)
  STORAGE     a folder for buildah's storage (buildah's default)
  CA          a file of certificates, if a proxy to the registries of Go and Python has
              its own; it is not part of the image
  GOPROXY, GOSUMDB, GOFLAGS, PIP_INDEX_URL and the variables of proxies are passed on.
END
}

fail() {
	echo "image: $*" >&2
	exit 1
}

need() {
	for tool in "$@"; do
		command -v "$tool" >/dev/null 2>&1 || fail "'$tool' is not in PATH"
	done
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
version=$(git -C "$root" describe --tags --always --dirty 2>/dev/null || echo unknown)
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
image=${IMAGE:-sluice:$version}
suite=${SUITE:-bookworm}
build_base=localhost/sluice-build-base run_base=localhost/sluice-run-base

b() {
	command=$1
	shift
	buildah ${STORAGE:+--root "$STORAGE/root" --runroot "$STORAGE/run"} --storage-driver vfs "$command" "$@"
}

# import NAME FOLDER: makes an image from a folder, with the usual PATH.
import() {
	ctr=$(b from scratch)
	b add --quiet "$ctr" "$2" /
	b config --env PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$ctr"
	b commit --quiet --format docker --rm "$ctr" "$1"
}

bases() {
	need debootstrap dpkg-deb go
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
	debootstrap --variant=minbase --include=ca-certificates,gcc,git,libc6-dev,python3,python3-pip "$suite" "$tmp/build"

	# The packages for a program that is linked with libc and libstdc++, and the folder in
	# which vulnerability scanners look for installed packages.
	mkdir -p "$tmp/run/usr/bin" "$tmp/run/usr/lib" "$tmp/run/usr/lib64" "$tmp/run/usr/sbin" "$tmp/run/var/lib/dpkg/status.d"
	for dir in bin lib lib64 sbin; do ln -s "usr/$dir" "$tmp/run/$dir"; done
	for name in base-files libc6 libgcc-s1 libstdc++6 tzdata; do
		package=$(echo "$tmp/build/var/cache/apt/archives/$name"_*.deb)
		[ -f "$package" ] || fail "debootstrap did not download the package $name"
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tmp/run" --keep-directory-symlink \
			--exclude './usr/share/locale/*' --exclude './usr/share/man/*' --exclude './usr/share/lintian/*' \
			--exclude './usr/lib/*/gconv/*' --exclude './usr/share/gdb/*'
		dpkg-deb --field "$package" >"$tmp/run/var/lib/dpkg/status.d/$name"
	done
	printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$tmp/run/etc/passwd"
	printf 'root:x:0:\nnonroot:x:65532:\n' >"$tmp/run/etc/group"

	rm -rf "$tmp/build/var/cache/apt/archives" "$tmp/build/var/lib/apt/lists"
	mkdir -p "$tmp/build/usr/local/go"
	cp -R "$(go env GOROOT)/." "$tmp/build/usr/local/go/"
	import "$run_base" "$tmp/run"
	import "$build_base" "$tmp/build"
}

exists() { b inspect --type image "$1" >/dev/null 2>&1; }

build() {
	[ -n "${BUILD_BASE:-}" ] || ! exists "$build_base" || BUILD_BASE=$build_base
	[ -n "${RUN_BASE:-}" ] || ! exists "$run_base" || RUN_BASE=$run_base
	export BUILD_BASE RUN_BASE
	set -- --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
	for name in BUILD_BASE RUN_BASE GOPROXY GOSUMDB GOFLAGS PIP_INDEX_URL HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
		# Without a value, buildah takes the one in the environment.
		eval "[ -z \"\${$name:-}\" ]" || set -- "$@" --build-arg "$name"
	done
	[ -z "${CA:-}" ] || set -- "$@" --secret "id=ca,src=$CA"
	b build --isolation chroot --format docker "$@" --tag "$image" "$root"
	b images "$image"
}

# check runs in its own namespaces: the network has only a loopback interface, so that the
# image's ports are free, and all processes end with check.
check() {
	need curl ip pgrep python3 unshare
	[ -n "${SLUICE_IMAGE_CHECK:-}" ] || SLUICE_IMAGE_CHECK=1 exec unshare --net --pid --fork --kill-child --mount-proc "$0" check
	ip link set lo up
	tmp=$(mktemp -d)
	ctr=$(b from --pull-never "$image")
	trap 'b rm "$ctr" >/dev/null; rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
	mnt=$(b mount "$ctr")

	# The image's commands for the start and the health check.
	b inspect --type image "$image" >"$tmp/image.json"
	words() { python3 -c 'import json, shlex, sys
c = json.load(open(sys.argv[1]))["Docker"]["config"]
print(shlex.join(eval(sys.argv[2], {"c": c})))' "$tmp/image.json" "$1"; }
	start=$(words 'c["Entrypoint"] + c["Cmd"]') healthy=$(words 'c["Healthcheck"]["Test"][1:]')
	user=$(words '[c["User"]]')
	echo "runs as $user: $start"
	echo "health check: $healthy"

	rm -f "$mnt/etc/hostname" "$mnt/etc/hosts" "$mnt/etc/resolv.conf" # buildah adds these
	# Folders with the sticky bit that all users can write to belong to the base image.
	writable=$(find "$mnt" -xdev ! -type l ! -type c ! -perm -1002 \
		\( -uid "${user%:*}" -o -gid "${user#*:}" -o -perm -o+w \) -printf '/%P ')
	[ "$writable" = '/data ' ] || fail "user $user can write to '$writable', expected only /data"
	files() { find "$mnt" -xdev ! -type d -printf '%P %s %T@ %m\n' | sort; }
	files >"$tmp/before"
	cp -a "$mnt/data" "$tmp/data" # an engine fills a new volume in this way, with owner and mode

	eval "b run --isolation chroot --volume '$root/models:/models:ro' --volume '$tmp/data:/data' \"\$ctr\" -- $start" >"$tmp/log" 2>&1 &
	runner=$!
	tries=60
	until eval "b run --isolation chroot \"\$ctr\" -- $healthy" >"$tmp/health" 2>&1; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ] || ! kill -0 "$runner" 2>/dev/null; then
			cat "$tmp/health" "$tmp/log" >&2
			fail "the gateway does not become healthy"
		fi
		sleep 1
	done
	echo "health check printed: $(cat "$tmp/health")"
	gateway=$(pgrep -x gateway | tail -n 1)
	awk '/^(Uid|Gid|VmRSS):/ {print "  " $0}' "/proc/$gateway/status"
	curl -fsS -m 5 http://127.0.0.1:8000/v2/models/iris/infer \
		-d '{"inputs":[{"name":"input","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'
	echo
	for path in metrics -/ready api/v1/status; do
		echo "admin /$path: $(curl -sS -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:8002/$path")"
	done
	seconds=$(date +%s)
	kill -TERM "$gateway"
	wait "$runner" && status=0 || status=$?
	echo "SIGTERM: ended with $status within $(($(date +%s) - seconds + 1)) s"
	[ "$status" = 0 ] || { cat "$tmp/log" >&2; fail "the gateway ended with $status, expected 0"; }

	rm -f "$mnt/etc/hostname" "$mnt/etc/hosts" "$mnt/etc/resolv.conf"
	files >"$tmp/after"
	diff "$tmp/before" "$tmp/after" >&2 || fail "the gateway wrote outside of /data"
	[ -n "$(ls "$tmp/data")" ] || fail "the gateway wrote nothing to /data"
	echo "wrote only: $(cd "$tmp" && find data -type f -printf '/%p (%M) ')"
	du -sh --apparent-size "$mnt" | awk '{print "unpacked: " $1}'
}

clean() {
	for name in "$image" "$build_base" "$run_base"; do
		b rmi "$name" 2>/dev/null || true
	done
}

case ${1:-} in
bases | build | check | clean)
	need buildah
	"$1"
	;;
help | -h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
