-- AlterTable
ALTER TABLE "idempotency_records" ADD COLUMN     "institution_id" UUID;

-- A principal is a person, or an API key of one; answers to somebody who is gone are asked for by nobody.
UPDATE "idempotency_records" r SET "institution_id" = u."institution_id" FROM "users" u WHERE u."id" = r."principal_id";
UPDATE "idempotency_records" r SET "institution_id" = k."institution_id" FROM "api_keys" k WHERE k."id" = r."principal_id";
DELETE FROM "idempotency_records" WHERE "institution_id" IS NULL;

ALTER TABLE "idempotency_records" ALTER COLUMN "institution_id" SET NOT NULL;

ALTER TABLE "idempotency_records" DROP CONSTRAINT "idempotency_records_pkey",
ADD CONSTRAINT "idempotency_records_pkey" PRIMARY KEY ("institution_id", "principal_id", "key");
