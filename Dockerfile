# The gateway as an image: one static binary, certificates, nothing else.
#
#   make docker-image
#   docker run --rm -p 8080:8080 -v gateway-data:/data gateway

# Bases are pinned by the digest of their index, which covers all architectures.
# To renew one: docker buildx imagetools inspect TAG
FROM golang:1.26.5-bookworm@sha256:1ecb7edf62a0408027bd5729dfd6b1b8766e578e8df93995b225dfd0944eb651 AS build
WORKDIR /src
# Modules first: this layer is made again only when go.mod or go.sum change.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
ENV GOCACHE=/cache
# Without cgo the binary needs no C library, and so runs on an empty base.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/cache \
    CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=${VERSION}" -o /out/gateway ./cmd/gateway
# An empty directory to give to the user below; the last stage has no mkdir.
RUN mkdir -p /out/data

# Holds CA certificates, time zones and the user 65532, but no shell.
FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab
COPY --from=build /out/gateway /gateway
COPY --from=build --chown=65532:65532 /out/data /data
# A number, because Kubernetes' runAsNonRoot does not look up names.
USER 65532:65532
ENV GATEWAY_ADDR=0.0.0.0:8080 \
    GATEWAY_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# There is no HEALTHCHECK: it would need a shell and a client inside the image.
# Orchestrators probe over HTTP: /livez to restart, /readyz to route.
ENTRYPOINT ["/gateway"]
CMD ["serve"]
