# The gateway as an image; docs/operations.md, "Image", says how to run it. Needs
# BuildKit (docker build), podman or buildah; scripts/image.sh needs buildah alone.
#
# BUILD_BASE has Go 1.26; what else the build needs is installed by apt where it is
# missing. RUN_BASE has glibc, not older than that of BUILD_BASE, and libstdc++; no
# shell, since nothing is run there.
ARG BUILD_BASE=docker.io/library/golang:1.26-bookworm
ARG RUN_BASE=gcr.io/distroless/cc-debian12

FROM ${BUILD_BASE} AS build
RUN if ! { gcc --version && git --version && python3 -m pip --version; } >/dev/null 2>&1 || \
	! [ -s /etc/ssl/certs/ca-certificates.crt ]; then \
		apt-get update && \
		apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev git python3 python3-pip && \
		rm -rf /var/lib/apt/lists/*; \
	fi
WORKDIR /src
# Empty ones are as good as none. With GOFLAGS=-buildvcs=false sources without a
# .git folder of their own (a worktree of git, say) can be built too.
ARG GOPROXY
ARG GOSUMDB
ARG GOFLAGS
ARG PIP_INDEX_URL
# Only this step uses the network. The secret is a file of certificates, for those
# behind a proxy that has its own; no layer keeps it.
COPY go.mod go.sum ./
COPY scripts/setup-ort.sh scripts/
RUN --mount=type=secret,id=ca \
	if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi && \
	scripts/setup-ort.sh && go mod download
COPY . .
RUN CGO_ENABLED=1 GOPROXY=off go build -trimpath -ldflags='-s -w' -o /out/usr/local/bin/gateway ./cmd/gateway && \
	mkdir -p /out/etc/ssl/certs /out/models /out/usr/local/lib /out/usr/local/share/doc/sluice && \
	cp "$(readlink -f .deps/onnxruntime/lib/libonnxruntime.so)" /out/usr/local/lib/ && \
	{ [ ! -d /usr/lib/locale/C.utf8 ] || { mkdir -p /out/usr/lib/locale && cp -r /usr/lib/locale/C.utf8 /out/usr/lib/locale/; }; } && \
	cp LICENSE /out/usr/local/share/doc/sluice/ && \
	cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ && \
	mkdir -p -m 755 /owned && mkdir -m 700 /owned/data

FROM ${RUN_BASE}
COPY --from=build /out/ /
COPY --from=build --chown=65532:65532 /owned/ /
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Sluice" \
	org.opencontainers.image.description="A model inference gateway for ONNX models" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
WORKDIR /
VOLUME ["/data"]
EXPOSE 8000 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["/usr/local/bin/gateway", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/gateway"]
# A container has 10 s to stop unless told otherwise, so the gateway takes a little less.
# Behind a load balancer add --shutdown-delay, and raise both: docs/operations.md, "Stopping".
CMD ["serve", "--model-repository", "/models", "--admin-address", ":8002", "--data-dir", "/data", "--drain-timeout", "9s"]
