import { paint, writeLine } from '../terminal.js';

export interface NextSteps {
  url: string;
  email: string;
  password: string;
  /** A DICOM file that is not in the installation yet. */
  upload: string;
  pictures: readonly string[];
  logFile: string;
  isRunning: boolean;
}

/** Three commands that work when pasted one after the other. */
export function curlLines({ url, email, password, upload }: NextSteps): string[] {
  const token = `TOKEN=$(curl -s ${url}/oauth2/token -d grant_type=password -d username=${email} -d password=${password} | node -pe 'JSON.parse(require("fs").readFileSync(0)).access_token')`;
  return [token, `curl -s -H "Authorization: Bearer $TOKEN" ${url}/api/v1/results`, `curl -s -H "Authorization: Bearer $TOKEN" -F files=@${shellQuoted(upload)} ${url}/api/v1/images`];
}

export function writeNextSteps(steps: NextSteps): void {
  writeLine();
  for (const picture of steps.pictures) writeLine(`Preview     ${picture}`);
  if (!steps.isRunning) return;
  writeLine(`Worklist    ${paint('cyan', `${steps.url}/`)}`);
  writeLine(`Swagger UI  ${paint('cyan', `${steps.url}/docs`)}`);
  writeLine(`Sign in     ${steps.email}  ${steps.password}`);
  writeLine(`Log         ${steps.logFile}`);
  writeLine();
  writeLine('Go on with:');
  for (const line of curlLines(steps)) writeLine(`  ${line}`);
}

function shellQuoted(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}
