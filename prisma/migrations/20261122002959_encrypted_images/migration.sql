-- Pre-releases stored studies in the clear; SQL cannot encrypt them, so nothing of theirs is touched.
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM studies) THEN
    RAISE EXCEPTION 'This database holds studies of a pre-release, which are not encrypted. Start with an empty DATA_DIR or database and send them again.';
  END IF;
END $$;

-- AlterTable
ALTER TABLE "instances" DROP COLUMN "attributes",
ADD COLUMN     "expected_in_series" INTEGER,
ADD COLUMN     "expected_in_study" INTEGER,
ADD COLUMN     "expected_series" INTEGER,
ADD COLUMN     "layout" JSONB NOT NULL,
ADD COLUMN     "sealed" BYTEA NOT NULL,
ADD COLUMN     "slice_position_mm" DOUBLE PRECISION;

-- AlterTable
ALTER TABLE "series" DROP COLUMN "series_description",
ADD COLUMN     "performed_date" TEXT,
ADD COLUMN     "performed_time" TEXT,
ADD COLUMN     "sealed" BYTEA NOT NULL;

-- AlterTable
ALTER TABLE "studies" DROP COLUMN "accession_number",
DROP COLUMN "patient_birth_date",
DROP COLUMN "patient_id",
DROP COLUMN "patient_name",
DROP COLUMN "patient_sex",
DROP COLUMN "study_description",
ADD COLUMN     "accession_token" BIGINT,
ADD COLUMN     "earlier_completions" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "key_id" UUID NOT NULL,
ADD COLUMN     "late_instances" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "legal_hold" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "patient_id_token" BIGINT,
ADD COLUMN     "sealed" BYTEA NOT NULL,
ADD COLUMN     "search_tokens" BIGINT[],
ADD COLUMN     "sop_classes" TEXT[];

-- CreateTable
CREATE TABLE "institution_keys" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "purpose" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "wrapped" BYTEA NOT NULL,
    "master_key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "institution_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "study_keys" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "study_instance_uid" TEXT NOT NULL,
    "wrapped" BYTEA NOT NULL,
    "wrapping_key_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "study_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "image_policies" (
    "institution_id" UUID NOT NULL,
    "on_conflict" TEXT NOT NULL DEFAULT 'reject',
    "retention_days" INTEGER,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "image_policies_pkey" PRIMARY KEY ("institution_id")
);

-- CreateTable
CREATE TABLE "instance_versions" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "study_id" UUID NOT NULL,
    "sop_instance_uid" TEXT NOT NULL,
    "blob_key" TEXT NOT NULL,
    "size_bytes" BIGINT NOT NULL,
    "sha256" TEXT NOT NULL,
    "stored_at" TIMESTAMPTZ(3) NOT NULL,
    "replaced_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "instance_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "uploads" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "length_bytes" BIGINT,
    "offset_bytes" BIGINT NOT NULL DEFAULT 0,
    "sealed_metadata" BYTEA,
    "segments" JSONB NOT NULL DEFAULT '[]',
    "state" TEXT NOT NULL DEFAULT 'receiving',
    "outcome" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "uploads_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "dimse_callers" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "ae_title" TEXT NOT NULL,
    "addresses" TEXT[],
    "description" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "dimse_callers_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "institution_keys_institution_id_purpose_version_key" ON "institution_keys"("institution_id", "purpose", "version");

-- CreateIndex
CREATE INDEX "study_keys_institution_id_wrapping_key_id_idx" ON "study_keys"("institution_id", "wrapping_key_id");

-- CreateIndex
CREATE UNIQUE INDEX "study_keys_institution_id_study_instance_uid_key" ON "study_keys"("institution_id", "study_instance_uid");

-- CreateIndex
CREATE INDEX "instance_versions_study_id_idx" ON "instance_versions"("study_id");

-- CreateIndex
CREATE INDEX "instance_versions_institution_id_sop_instance_uid_idx" ON "instance_versions"("institution_id", "sop_instance_uid");

-- CreateIndex
CREATE INDEX "uploads_expires_at_idx" ON "uploads"("expires_at");

-- CreateIndex
CREATE INDEX "uploads_institution_id_id_idx" ON "uploads"("institution_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "dimse_callers_ae_title_key" ON "dimse_callers"("ae_title");

-- CreateIndex
CREATE INDEX "dimse_callers_institution_id_id_idx" ON "dimse_callers"("institution_id", "id");

-- CreateIndex
CREATE INDEX "instances_institution_id_id_idx" ON "instances"("institution_id", "id");

-- CreateIndex
CREATE INDEX "series_institution_id_id_idx" ON "series"("institution_id", "id");

-- CreateIndex
CREATE INDEX "series_institution_id_series_instance_uid_idx" ON "series"("institution_id", "series_instance_uid");

-- CreateIndex
CREATE INDEX "studies_institution_id_study_date_id_idx" ON "studies"("institution_id", "study_date", "id");

-- CreateIndex
CREATE INDEX "studies_institution_id_patient_id_token_idx" ON "studies"("institution_id", "patient_id_token");

-- CreateIndex
CREATE INDEX "studies_institution_id_accession_token_idx" ON "studies"("institution_id", "accession_token");

-- CreateIndex
CREATE INDEX "studies_institution_id_last_instance_at_idx" ON "studies"("institution_id", "last_instance_at");

-- CreateIndex
CREATE INDEX "studies_search_tokens_idx" ON "studies" USING GIN ("search_tokens") WITH (fastupdate = off);
