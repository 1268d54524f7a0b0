# syntax=docker/dockerfile:1
# The image of the hub: the `dist` build of one binary on a base without a shell or a package manager. It runs as a user without
# rights, in production mode, and keeps its data in /data. `scripts/image-steps` runs these steps without an engine.

FROM rust:1.95.0-bookworm AS build
WORKDIR /src

# The dependencies first, in a layer of their own, which is built again only when a manifest, the lock file or this command changes.
# Cargo reads the manifests of the whole workspace, so each member is there with an empty source.
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY crates/bellhop-client/Cargo.toml crates/bellhop-client/
COPY load-tests/campaign/Cargo.toml load-tests/campaign/
COPY load-tests/cluster/Cargo.toml load-tests/cluster/
COPY load-tests/orders/Cargo.toml load-tests/orders/
COPY load-tests/soak/Cargo.toml load-tests/soak/
COPY load-tests/sockets/Cargo.toml load-tests/sockets/
RUN for member in . crates/bellhop-client load-tests/campaign load-tests/cluster load-tests/orders load-tests/soak load-tests/sockets; do \
      mkdir -p "$member/src" && touch "$member/src/lib.rs" && echo 'fn main() {}' >"$member/src/main.rs" || exit 1; \
    done \
    && cargo build --locked --profile dist --package bellhop --bin bellhop \
    && cargo clean --locked --profile dist --package bellhop --package bellhop-client \
    && rm -r src crates/bellhop-client/src

# Bellhop itself.
COPY config config
COPY migrations migrations
COPY crates crates
COPY src src
RUN cargo build --locked --profile dist --package bellhop --bin bellhop \
    && mkdir -p image/usr/local/bin image/data \
    && cp target/dist/bellhop image/usr/local/bin/bellhop

# For deploy/compose/compose.single.yaml (`--target backup`): the program on a base with a shell, which copies the database each day.
FROM debian:12-slim AS backup
COPY --from=build /src/image/usr/local/bin/bellhop /usr/local/bin/bellhop
ENV BELLHOP_ENV=production \
    BELLHOP__DATA__DIR=/data
USER 65532:65532

# The image of the hub. Only what a program in C needs (libc, libm, libgcc), certificates of public authorities, and the user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="bellhop" \
      org.opencontainers.image.description="A realtime order and notification hub" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build --chown=65532:65532 /src/image/data /data
COPY --from=build /src/image/usr/local/bin/bellhop /usr/local/bin/bellhop
# Production refuses to start without secrets. The data folder holds SQLite, where no DATABASE_URL is given.
ENV BELLHOP_ENV=production \
    BELLHOP__DATA__DIR=/data
USER 65532:65532
WORKDIR /data
EXPOSE 8000
# The hub tells its clients to come back, and needs up to 30 seconds from this signal on.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/bellhop", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/bellhop"]
CMD ["serve"]
