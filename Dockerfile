# syntax=docker/dockerfile:1
# The image of `api` and `worker`. Postgres client tools of every supported major version are in it,
# because pg_dump must not be older than the server it reads. MariaDB's serve MySQL too (docs/operations.md).

FROM golang:1.26-bookworm AS build
WORKDIR /src
ENV GOTOOLCHAIN=local CGO_ENABLED=1
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/dataguardian ./cmd/dataguardian

FROM debian:bookworm-slim
ARG POSTGRES_MAJORS="13 14 15 16 17 18"
RUN set -eux; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates curl tzdata mariadb-client; \
    install -d /usr/share/postgresql-common/pgdg; \
    curl -fsSL -o /usr/share/postgresql-common/pgdg/apt.postgresql.org.asc https://www.postgresql.org/media/keys/ACCC4CF8.asc; \
    echo "deb [signed-by=/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc] https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main" \
      > /etc/apt/sources.list.d/pgdg.list; \
    apt-get update; \
    for major in $POSTGRES_MAJORS; do apt-get install -y --no-install-recommends "postgresql-client-$major"; done; \
    rm -rf /var/lib/apt/lists/*; \
    useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin dataguardian; \
    install -d -o dataguardian -g dataguardian /backups
COPY --from=build /out/dataguardian /usr/local/bin/dataguardian
USER 10001
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/dataguardian"]
CMD ["api"]
