-- AlterTable
ALTER TABLE "audit_checkpoints" ADD COLUMN     "number" BIGINT NOT NULL;

-- AlterTable
ALTER TABLE "audit_heads" ADD COLUMN     "checkpoints" BIGINT NOT NULL,
ADD COLUMN     "sequence" BIGINT NOT NULL;

-- AlterTable
ALTER TABLE "audit_keys" DROP COLUMN "sealed_private_jwk",
ADD COLUMN     "master_key_id" TEXT NOT NULL,
ADD COLUMN     "sealed" BYTEA NOT NULL,
ADD COLUMN     "use" TEXT NOT NULL,
ALTER COLUMN "public_jwk" DROP NOT NULL;

-- CreateIndex
CREATE UNIQUE INDEX "audit_checkpoints_institution_id_number_key" ON "audit_checkpoints"("institution_id", "number");

-- CreateIndex
CREATE INDEX "audit_events_institution_id_sequence_idx" ON "audit_events"("institution_id", "sequence");

-- CreateIndex
CREATE INDEX "audit_events_institution_id_user_id_id_idx" ON "audit_events"("institution_id", "user_id", "id");

-- CreateIndex
CREATE INDEX "audit_events_request_id_idx" ON "audit_events"("request_id");

-- Most events concern no patient and no study: such rows need no entry. Queries repeat the condition.
DROP INDEX "audit_events_patient_ids_idx";
CREATE INDEX "audit_events_patient_ids_idx" ON "audit_events" USING GIN ("patient_ids") WHERE "patient_ids" <> '{}';
DROP INDEX "audit_events_study_instance_uids_idx";
CREATE INDEX "audit_events_study_instance_uids_idx" ON "audit_events" USING GIN ("study_instance_uids") WHERE "study_instance_uids" <> '{}';

-- What is on record stays as it is, for owners of the tables too. Privileges say the same to the application's login.
CREATE FUNCTION "audit_is_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: the audit trail is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "audit_events" FOR EACH ROW EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "no_truncate" BEFORE TRUNCATE ON "audit_events" FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "audit_seals" FOR EACH ROW EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "no_truncate" BEFORE TRUNCATE ON "audit_seals" FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "audit_checkpoints" FOR EACH ROW EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "no_truncate" BEFORE TRUNCATE ON "audit_checkpoints" FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();

-- A head moves on with its chain, and only forward.
CREATE TRIGGER "no_delete" BEFORE DELETE ON "audit_heads" FOR EACH ROW EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "no_truncate" BEFORE TRUNCATE ON "audit_heads" FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "only_forward" BEFORE UPDATE ON "audit_heads" FOR EACH ROW
  WHEN (NEW."institution_id" <> OLD."institution_id" OR NEW."position" < OLD."position" OR NEW."sequence" < OLD."sequence" OR NEW."checkpoints" < OLD."checkpoints")
  EXECUTE FUNCTION "audit_is_append_only"();

-- A key is sealed anew when the master key is exchanged; nothing else of it changes.
CREATE TRIGGER "no_delete" BEFORE DELETE ON "audit_keys" FOR EACH ROW EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "no_truncate" BEFORE TRUNCATE ON "audit_keys" FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();
CREATE TRIGGER "only_sealed_anew" BEFORE UPDATE ON "audit_keys" FOR EACH ROW
  WHEN (NEW."kid" <> OLD."kid" OR NEW."use" <> OLD."use" OR NEW."public_jwk" IS DISTINCT FROM OLD."public_jwk" OR NEW."created_at" <> OLD."created_at")
  EXECUTE FUNCTION "audit_is_append_only"();
