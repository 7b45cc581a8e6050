-- What a reader added is read by its id as well, and what was rejected is not: the index is over the findings that stand.
DROP INDEX "results_finding_ids_idx";
CREATE INDEX "results_finding_ids_idx" ON "results" USING gin (jsonb_path_query_array(coalesce("reviewed"->'findings', "findings"), '$[*] ? (!(@.review.state == "rejected")).id'));
