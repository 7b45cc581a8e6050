-- Over expressions, which schema.prisma cannot tell of. FHIR reads an Observation by the id of its finding,
CREATE INDEX "results_finding_ids_idx" ON "results" USING gin (jsonb_path_query_array("findings", '$[*].id'));
-- and a Device by the digest of its model, and lists each model once without reading every result.
CREATE INDEX "results_model_digest_idx" ON "results" ("institution_id", ("provenance" #>> '{model,digest}'));
