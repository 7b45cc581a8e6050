-- AlterTable
ALTER TABLE "analysis_runs" ADD COLUMN     "result_removed_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "results_institution_id_created_at_idx" ON "results"("institution_id", "created_at");

-- CreateIndex
CREATE INDEX "notifications_subject_idx" ON "notifications" USING GIN ("subject" jsonb_path_ops);

-- Patients of the studies that are there. Their ids are UUIDv7 of when the first study came (RFC 9562 §5.7), so that they sort as new ones do.
INSERT INTO "patients" ("id", "institution_id", "patient_id_token", "created_at")
SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send(floor(extract(epoch FROM min("created_at")) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid,
  "institution_id", "patient_id_token", min("created_at")
FROM "studies" WHERE "patient_id_token" IS NOT NULL GROUP BY "institution_id", "patient_id_token"
ON CONFLICT DO NOTHING;

UPDATE "studies" SET "patient_id" = "patients"."id" FROM "patients"
WHERE "patients"."institution_id" = "studies"."institution_id" AND "patients"."patient_id_token" = "studies"."patient_id_token" AND "studies"."patient_id" IS NULL;
