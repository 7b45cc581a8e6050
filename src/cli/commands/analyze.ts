import { Command, Option } from 'commander';
import { ANALYSIS_NAMES } from '../../imaging/model/manifest.js';
import { findingRows, runFacts, writeFindings } from '../findings-table.js';
import { Installation, withConnection, type ConnectionOptions } from '../installation.js';
import { ProgressBar, writeJson } from '../terminal.js';

interface AnalyzeOptions extends ConnectionOptions {
  analysis: string;
  model?: string;
  priority?: string;
  json?: boolean;
}

/** `healthvision analyze`: runs an analysis on a stored study and waits for its findings. */
export function analyzeCommand(): Command {
  const command = new Command('analyze')
    .description('run an analysis on a stored study and show its findings')
    .argument('<study>', 'Study Instance UID')
    .addOption(new Option('--analysis <name>', 'the analysis').choices(ANALYSIS_NAMES).default('chest-xray-classification'))
    .option('--model <name@version>', 'an installed model instead of the active one')
    .addOption(new Option('--priority <priority>', 'place in the queue').choices(['stat', 'routine', 'research']));
  return withConnection(command).action(async (study: string, options: AnalyzeOptions) => {
    const installation = new Installation(options);
    const started = performance.now();
    const created = await installation.createRun({
      analysis: options.analysis, studyInstanceUid: study, ...(options.model !== undefined && { model: options.model }), ...(options.priority !== undefined && { priority: options.priority }),
    });
    const bar = new ProgressBar('Analysis', options.json);
    const run = await installation.follow(created.id, ({ progress, stage }) => { bar.update(progress, stage); });
    bar.finish(`Analysis ${run.id}: ${run.status}`);
    const result = run.resultId ? await installation.result(run.resultId) : null;
    if (options.json) writeJson({ run, result });
    else writeFindings(findingRows(runFacts(study, run, result, (performance.now() - started) / 1000), '', run, result));
    // "Not analysable" is an answer; failed and cancelled runs gave none.
    if (run.status === 'failed' || run.status === 'cancelled') process.exitCode = 1;
  });
}
