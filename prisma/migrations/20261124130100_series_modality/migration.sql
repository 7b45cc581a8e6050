-- CreateIndex
CREATE INDEX "series_institution_id_modality_id_idx" ON "series"("institution_id", "modality", "id");
