// A process that shares the embedded PostgreSQL: says what happens as JSON lines, closes when its standard input ends.
const [folder, dataDir] = process.argv.slice(2);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const { openEmbeddedPostgres } = await import(`${folder}/src/platform/database/embedded-postgres.js`);
try {
  const postgres = await openEmbeddedPostgres({ dataDir, log: (level, text) => say({ level, text }) });
  process.stdin.resume();
  process.stdin.on('end', async () => {
    await postgres.close();
    process.exit(0);
  });
  say({ url: postgres.url });
} catch (error) {
  say({ error: error.code, detail: error.message });
  process.exitCode = 1;
}
