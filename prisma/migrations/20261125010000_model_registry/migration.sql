-- AlterTable
ALTER TABLE "models" ADD COLUMN     "signed_by" TEXT,
ADD COLUMN     "source" TEXT NOT NULL DEFAULT 'folder';

-- CreateTable
CREATE TABLE "model_files" (
    "model_id" UUID NOT NULL,
    "path" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "size_bytes" BIGINT NOT NULL,
    "blob_key" TEXT NOT NULL,

    CONSTRAINT "model_files_pkey" PRIMARY KEY ("model_id","path")
);

-- CreateTable
CREATE TABLE "model_activations" (
    "id" UUID NOT NULL,
    "model_id" UUID NOT NULL,
    "model_name" TEXT NOT NULL,
    "model_version" TEXT NOT NULL,
    "model_digest" TEXT NOT NULL,
    "analysis" TEXT NOT NULL,
    "from_state" TEXT NOT NULL,
    "to_state" TEXT NOT NULL,
    "cause" TEXT NOT NULL,
    "replaced_model_id" UUID,
    "reason" TEXT,
    "user_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_activations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "institution_model_choices" (
    "institution_id" UUID NOT NULL,
    "analysis" TEXT NOT NULL,
    "domain_key" TEXT NOT NULL,
    "model_id" UUID NOT NULL,
    "reason" TEXT,
    "chosen_by" UUID NOT NULL,
    "chosen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "institution_model_choices_pkey" PRIMARY KEY ("institution_id","analysis","domain_key")
);

-- CreateTable
CREATE TABLE "shadow_results" (
    "analysis_id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "study_id" UUID NOT NULL,
    "study_instance_uid" TEXT NOT NULL,
    "analysis" TEXT NOT NULL,
    "model_digest" TEXT NOT NULL,
    "summary" JSONB NOT NULL,
    "findings" JSONB NOT NULL,
    "labels" JSONB NOT NULL,
    "segments" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "shadow_results_pkey" PRIMARY KEY ("analysis_id")
);

-- CreateIndex
CREATE INDEX "model_activations_model_id_id_idx" ON "model_activations"("model_id", "id");

-- CreateIndex
CREATE INDEX "shadow_results_institution_id_created_at_idx" ON "shadow_results"("institution_id", "created_at");

-- CreateIndex
CREATE INDEX "shadow_results_study_id_idx" ON "shadow_results"("study_id");

-- CreateIndex
CREATE INDEX "analysis_runs_model_name_created_at_idx" ON "analysis_runs"("model_name", "created_at");
