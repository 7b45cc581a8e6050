-- AlterTable
ALTER TABLE "results" ADD COLUMN     "reviewed" JSONB,
ADD COLUMN     "version" INTEGER NOT NULL DEFAULT 1;

-- CreateTable
CREATE TABLE "result_versions" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "result_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "decisions" JSONB NOT NULL,
    "content" JSONB NOT NULL,
    "sealed" BYTEA,
    "author_id" UUID NOT NULL,
    "author_name" TEXT NOT NULL,
    "signature" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "result_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "reproductions" (
    "analysis_id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "result_id" UUID NOT NULL,
    "requested_by" UUID NOT NULL,
    "outcome" TEXT,
    "comparison" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "compared_at" TIMESTAMPTZ(3),

    CONSTRAINT "reproductions_pkey" PRIMARY KEY ("analysis_id")
);

-- CreateIndex
CREATE INDEX "result_versions_institution_id_created_at_idx" ON "result_versions"("institution_id", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "result_versions_result_id_version_key" ON "result_versions"("result_id", "version");

-- CreateIndex
CREATE INDEX "reproductions_result_id_analysis_id_idx" ON "reproductions"("result_id", "analysis_id");

-- CreateIndex
CREATE INDEX "reproductions_institution_id_created_at_idx" ON "reproductions"("institution_id", "created_at");

-- AddForeignKey
ALTER TABLE "result_versions" ADD CONSTRAINT "result_versions_result_id_fkey" FOREIGN KEY ("result_id") REFERENCES "results"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "reproductions" ADD CONSTRAINT "reproductions_result_id_fkey" FOREIGN KEY ("result_id") REFERENCES "results"("id") ON DELETE CASCADE ON UPDATE CASCADE;
