-- AlterTable
ALTER TABLE "results" ADD COLUMN     "faults" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "objects" JSONB NOT NULL DEFAULT '[]';

-- CreateTable
CREATE TABLE "destinations" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "target" JSONB NOT NULL,
    "sealed_authorization" BYTEA,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "results" TEXT NOT NULL DEFAULT 'all',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "destinations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "deliveries" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "destination_id" UUID NOT NULL,
    "result_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "study_instance_uid" TEXT NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'waiting',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "failure" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "destinations_institution_id_id_idx" ON "destinations"("institution_id", "id");

-- CreateIndex
CREATE INDEX "deliveries_institution_id_destination_id_id_idx" ON "deliveries"("institution_id", "destination_id", "id");

-- CreateIndex
CREATE INDEX "deliveries_result_id_idx" ON "deliveries"("result_id");

-- CreateIndex
CREATE INDEX "deliveries_state_next_at_idx" ON "deliveries"("state", "next_at");

-- CreateIndex
CREATE UNIQUE INDEX "deliveries_destination_id_result_id_version_key" ON "deliveries"("destination_id", "result_id", "version");

-- AddForeignKey
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_destination_id_fkey" FOREIGN KEY ("destination_id") REFERENCES "destinations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_result_id_fkey" FOREIGN KEY ("result_id") REFERENCES "results"("id") ON DELETE CASCADE ON UPDATE CASCADE;
