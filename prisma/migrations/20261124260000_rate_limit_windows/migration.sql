-- Unlogged: what it holds is a minute old at most, and a crash may forget it; so a commit waits for no disk.
CREATE UNLOGGED TABLE "rate_limit_windows" (
    "key" BYTEA NOT NULL,
    "granted" INTEGER NOT NULL,
    "leased" INTEGER NOT NULL,
    "ends_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "rate_limit_windows_pkey" PRIMARY KEY ("key")
) WITH (fillfactor = 50);
