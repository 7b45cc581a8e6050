-- CreateTable
CREATE TABLE "result_alignments" (
    "result_id" UUID NOT NULL,
    "prior_result_id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "alignment" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "result_alignments_pkey" PRIMARY KEY ("result_id","prior_result_id")
);

-- CreateIndex
CREATE INDEX "result_alignments_prior_result_id_idx" ON "result_alignments"("prior_result_id");

-- AddForeignKey
ALTER TABLE "result_alignments" ADD CONSTRAINT "result_alignments_result_id_fkey" FOREIGN KEY ("result_id") REFERENCES "results"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "result_alignments" ADD CONSTRAINT "result_alignments_prior_result_id_fkey" FOREIGN KEY ("prior_result_id") REFERENCES "results"("id") ON DELETE CASCADE ON UPDATE CASCADE;
