-- AlterTable
ALTER TABLE "analysis_runs" ALTER COLUMN "queued_at" SET DEFAULT clock_timestamp();

-- AlterTable
ALTER TABLE "blob_tombstones" ALTER COLUMN "due_at" SET DEFAULT clock_timestamp();

-- AlterTable
ALTER TABLE "deliveries" ALTER COLUMN "next_at" SET DEFAULT clock_timestamp();

-- AlterTable
ALTER TABLE "notification_mails" ALTER COLUMN "next_at" SET DEFAULT clock_timestamp();

-- AlterTable
ALTER TABLE "webhook_deliveries" ALTER COLUMN "next_at" SET DEFAULT clock_timestamp();
