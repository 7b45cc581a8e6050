-- CreateIndex
CREATE INDEX "results_institution_id_status_study_id_idx" ON "results"("institution_id", "status", "study_id");

-- CreateIndex
CREATE INDEX "series_institution_id_modality_study_id_idx" ON "series"("institution_id", "modality", "study_id");

-- Results that are critical: few of all, and asked for first.
CREATE INDEX "results_critical_idx" ON "results"("institution_id", "study_id") WHERE ("summary" -> 'critical') = 'true'::jsonb;
