-- Rows that change with every instance are changed in place as long as their page has room.
ALTER TABLE "studies" SET (fillfactor = 75);
ALTER TABLE "series" SET (fillfactor = 85);
