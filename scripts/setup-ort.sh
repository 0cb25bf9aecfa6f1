#!/bin/sh
# Installs the parts of ONNX Runtime for the build and the tests in .deps/onnxruntime:
#
#   include/  the C headers, copied from the Go module onnxruntime_go
#   lib/      the shared library, from the wheel on PyPI, or, if that fails, from npm
#
# It checks the digests of archives before it unpacks them, and runs no script of a
# package. If SLUICE_ORT_LIBRARY is set (a path to your own libonnxruntime), it installs
# only the headers. It does nothing if everything is already there.
set -eu

version=1.24.1
npm_sha256=57181cf6e6e711b155c5b942d591fd63ded0b5de5c4922d51fd994e7f6ac2772 # both architectures

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
deps=$root/.deps/onnxruntime

fail() {
	echo "setup-ort: $*" >&2
	exit 1
}

digest() {
	if command -v sha256sum >/dev/null 2>&1; then
		sha256sum "$1" | cut -d ' ' -f 1
	else
		shasum -a 256 "$1" | cut -d ' ' -f 1
	fi
}

# verify FILE SHA256: ends the script if the digest differs. That is an attack or a mistake, so
# there is no second source.
verify() {
	got=$(digest "$1")
	[ "$got" = "$2" ] || fail "$(basename "$1") has SHA-256 $got, expected $2; nothing was installed"
}

from_pypi() {
	command -v python3 >/dev/null 2>&1 || return 1
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
		--python-version 3.11 --platform "manylinux_2_28_$1" --dest "$tmp" "onnxruntime==$version" >"$tmp/log" 2>&1 || return 1
	wheel=$(echo "$tmp"/onnxruntime-*.whl)
	verify "$wheel" "$wheel_sha256"
	python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))' \
		"$wheel" "onnxruntime/capi/libonnxruntime.so.$version" >"$tmp/library"
}

from_npm() {
	command -v npm >/dev/null 2>&1 || return 1
	(cd "$tmp" && npm pack --silent --ignore-scripts "onnxruntime-node@$version") >>"$tmp/log" 2>&1 || return 1
	verify "$tmp/onnxruntime-node-$version.tgz" "$npm_sha256"
	tar -xzOf "$tmp/onnxruntime-node-$version.tgz" "package/bin/napi-v6/linux/$1/libonnxruntime.so.1" >"$tmp/library"
}

install_headers() {
	command -v go >/dev/null 2>&1 || fail "the Go toolchain is missing: 'go' is not in PATH"
	module=github.com/yalue/onnxruntime_go
	[ -d "$deps/include" ] || echo "setup-ort: copying ONNX Runtime's headers from $module, which is downloaded once" >&2
	(cd "$root" && go mod download "$module") || fail "cannot download the Go module $module"
	dir=$(cd "$root" && go list -m -f '{{.Dir}}' "$module")
	mkdir -p "$deps/include"
	for header in onnxruntime_c_api.h onnxruntime_ep_c_api.h; do
		cmp -s "$dir/$header" "$deps/include/$header" && continue
		cp "$dir/$header" "$tmp/$header"
		chmod 644 "$tmp/$header"
		mv -f "$tmp/$header" "$deps/include/$header"
	done
}

install_library() {
	[ -f "$deps/lib/libonnxruntime.so.$version" ] && [ -e "$deps/lib/libonnxruntime.so" ] && return
	case "$(uname -s)-$(uname -m)" in
	Linux-x86_64 | Linux-amd64)
		python_arch=x86_64 npm_arch=x64
		wheel_sha256=1cabe71ca14dcfbf812d312aab0a704507ac909c137ee6e89e4908755d0fc60e
		;;
	Linux-aarch64 | Linux-arm64)
		python_arch=aarch64 npm_arch=arm64
		wheel_sha256=86bc43e922b1f581b3de26a3dc402149c70e5542fceb5bec6b3a85542dbeb164
		;;
	*)
		fail "there is no built ONNX Runtime for $(uname -s) $(uname -m): install version $version yourself and set SLUICE_ORT_LIBRARY to its shared library"
		;;
	esac
	echo "setup-ort: downloading ONNX Runtime $version, about 20 MB, once" >&2
	from_pypi "$python_arch" || from_npm "$npm_arch" || {
		cat "$tmp/log" >&2
		fail "neither pip nor npm can download ONNX Runtime $version; install it yourself and set SLUICE_ORT_LIBRARY to its shared library"
	}
	mkdir -p "$deps/lib"
	chmod 755 "$tmp/library"
	mv -f "$tmp/library" "$deps/lib/libonnxruntime.so.$version"
	ln -sf "libonnxruntime.so.$version" "$deps/lib/libonnxruntime.so.1"
	ln -sf "libonnxruntime.so.1" "$deps/lib/libonnxruntime.so"
	echo "setup-ort: ONNX Runtime $version is installed"
}

mkdir -p "$deps"
tmp=$(mktemp -d "$deps/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
: >"$tmp/log"

install_headers
[ -n "${SLUICE_ORT_LIBRARY:-}" ] || install_library
