-- CreateTable
CREATE TABLE "sign_in_places" (
    "institution_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "address" TEXT NOT NULL,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "locked_until" TIMESTAMPTZ(3),
    "last_failed_at" TIMESTAMPTZ(3),
    "last_succeeded_at" TIMESTAMPTZ(3),

    CONSTRAINT "sign_in_places_pkey" PRIMARY KEY ("user_id","address")
);

-- AddForeignKey
ALTER TABLE "sign_in_places" ADD CONSTRAINT "sign_in_places_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
