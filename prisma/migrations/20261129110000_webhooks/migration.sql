-- AlterTable
ALTER TABLE "outbox" ADD COLUMN     "position" BIGSERIAL NOT NULL,
ADD COLUMN     "study_instance_uid" TEXT;

-- CreateTable
CREATE TABLE "webhooks" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "url" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "events" JSONB NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "disabled_reason" TEXT,
    "disabled_at" TIMESTAMPTZ(3),
    "ed25519" BOOLEAN NOT NULL DEFAULT false,
    "include_phi" BOOLEAN NOT NULL DEFAULT false,
    "concurrency" INTEGER NOT NULL DEFAULT 4,
    "sealed_secrets" BYTEA NOT NULL,
    "public_key" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "webhooks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhook_deliveries" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "webhook_id" UUID NOT NULL,
    "event_id" UUID NOT NULL,
    "topic" TEXT NOT NULL,
    "study_instance_uid" TEXT,
    "result_id" UUID,
    "position" BIGINT NOT NULL,
    "data" JSONB NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'waiting',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "claims" INTEGER NOT NULL DEFAULT 0,
    "claimed_until" TIMESTAMPTZ(3),
    "next_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "first_tried_at" TIMESTAMPTZ(3),
    "last_tried_at" TIMESTAMPTZ(3),
    "last_status" INTEGER,
    "last_duration_ms" INTEGER,
    "failure" TEXT,
    "answer" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_deliveries_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "webhooks_institution_id_id_idx" ON "webhooks"("institution_id", "id");

-- CreateIndex
CREATE INDEX "webhook_deliveries_webhook_id_id_idx" ON "webhook_deliveries"("webhook_id", "id");

-- CreateIndex
CREATE INDEX "webhook_deliveries_webhook_id_state_next_at_idx" ON "webhook_deliveries"("webhook_id", "state", "next_at");

-- CreateIndex
CREATE INDEX "webhook_deliveries_webhook_id_claimed_until_idx" ON "webhook_deliveries"("webhook_id", "claimed_until");

-- CreateIndex
CREATE INDEX "webhook_deliveries_webhook_id_study_instance_uid_state_posi_idx" ON "webhook_deliveries"("webhook_id", "study_instance_uid", "state", "position");

-- CreateIndex
CREATE INDEX "webhook_deliveries_institution_id_study_instance_uid_idx" ON "webhook_deliveries"("institution_id", "study_instance_uid");

-- CreateIndex
CREATE INDEX "webhook_deliveries_institution_id_result_id_idx" ON "webhook_deliveries"("institution_id", "result_id");

-- CreateIndex
CREATE INDEX "webhook_deliveries_created_at_idx" ON "webhook_deliveries"("created_at");

-- CreateIndex
CREATE UNIQUE INDEX "webhook_deliveries_webhook_id_event_id_key" ON "webhook_deliveries"("webhook_id", "event_id");

-- CreateIndex
CREATE INDEX "outbox_institution_id_study_instance_uid_idx" ON "outbox"("institution_id", "study_instance_uid");

-- AddForeignKey
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_fkey" FOREIGN KEY ("webhook_id") REFERENCES "webhooks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Events that wait while this is installed
UPDATE "outbox" SET "study_instance_uid" = "payload" ->> 'studyInstanceUid';
