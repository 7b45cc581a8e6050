// A registry that has one advisory, on every version of `pg`. It says its port, in a process of its own: npm audit blocks whoever asks.
import { createServer } from 'node:http';

const advisory = { id: 1, url: 'https://github.com/advisories/GHSA-test-test-test', title: 'Made up', severity: 'high', vulnerable_versions: '*', cwe: [], cvss: { score: 0, vectorString: null } };
const server = createServer((request, response) => {
  request.resume();
  const answer = request.url.endsWith('/advisories/bulk') ? { pg: [advisory] } : { name: decodeURIComponent(request.url.slice(1)), versions: {}, 'dist-tags': {} };
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
}).listen(0, '127.0.0.1', () => { console.log(server.address().port); });
