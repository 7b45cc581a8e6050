-- AlterTable
ALTER TABLE "analysis_runs" ADD COLUMN     "device" TEXT,
ADD COLUMN     "faults" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "memory_mb" INTEGER,
ADD COLUMN     "not_before" TIMESTAMPTZ(3),
ADD COLUMN     "queued_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;

-- What waits at the upgrade began to wait when it was made.
UPDATE "analysis_runs" SET "queued_at" = "created_at";

-- CreateTable
CREATE TABLE "compute_shares" (
    "institution_id" UUID NOT NULL,
    "seconds" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "compute_shares_pkey" PRIMARY KEY ("institution_id")
);

-- CreateTable
CREATE TABLE "model_resources" (
    "model_digest" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "peak_mb" INTEGER NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_resources_pkey" PRIMARY KEY ("model_digest","kind")
);

-- CreateTable
CREATE TABLE "routing_rules" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "position" INTEGER NOT NULL,
    "conditions" JSONB NOT NULL,
    "plan" JSONB NOT NULL,
    "last" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "routing_rules_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "critical_rules" (
    "institution_id" UUID NOT NULL,
    "rules" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "critical_rules_pkey" PRIMARY KEY ("institution_id")
);

-- CreateIndex
CREATE INDEX "routing_rules_institution_id_position_id_idx" ON "routing_rules"("institution_id", "position", "id");

-- CreateIndex
CREATE INDEX "analysis_runs_status_institution_id_priority_queued_at_id_idx" ON "analysis_runs"("status", "institution_id", "priority", "queued_at", "id");
