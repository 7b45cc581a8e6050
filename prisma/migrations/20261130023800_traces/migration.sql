-- AlterTable
ALTER TABLE "analysis_runs" ADD COLUMN     "traceparent" TEXT;

-- AlterTable
ALTER TABLE "outbox" ADD COLUMN     "traceparent" TEXT;

-- AlterTable
ALTER TABLE "studies" ADD COLUMN     "traceparent" TEXT;

-- AlterTable
ALTER TABLE "webhook_deliveries" ADD COLUMN     "traceparent" TEXT;
