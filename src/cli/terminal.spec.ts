import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { failureLines, CommandError } from './failure.js';
import { ConfigurationError } from '../platform/config.js';
import { AppError } from '../kernel/errors.js';
import { displayWidth, ProgressBar, table } from './terminal.js';

/** A stream that is no terminal. */
function plain(): { output: NodeJS.WriteStream; text: () => string } {
  const stream = new PassThrough();
  // Only what the drawing touches is there.
  return { output: stream as unknown as NodeJS.WriteStream, text: () => String(stream.read() ?? '') };
}

describe('a table', () => {
  it('is as wide as its cells, with numbers to the right and no colours off a terminal', () => {
    const rows = [{ name: '肺炎', value: '0.5' }, { name: 'x', value: '10.25' }];
    expect(table(rows, [{ title: 'Label', value: ({ name }) => name, style: () => 'red' }, { title: 'P', value: ({ value }) => value, align: 'right' }], plain().output)).toBe(
      ['Label      P', '────────────', '肺炎     0.5', 'x      10.25'].join('\n'),
    );
    expect(displayWidth('肺炎')).toBe(4);
  });
});

describe('a progress bar off a terminal', () => {
  it('says nothing of work that is over at once, and writes a plain line at the end', () => {
    const { output, text } = plain();
    const bar = new ProgressBar('Upload', false, output);
    bar.update(0.5);
    expect(text()).toBe('');
    bar.update(1, '3 of 3 files');
    bar.finish();
    expect(text()).toBe('Upload 100 % 3 of 3 files\n');
  });
});

describe('a failure', () => {
  it('is one line with its code', () => {
    expect(failureLines(new CommandError('no-files', 'There are\n  none'), false)).toEqual(['error: no-files: There are; none']);
    expect(failureLines(new AppError('study-not-found'), false)).toEqual(['error: study-not-found: No such study']);
    expect(failureLines(Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', path: '/x' }), false)).toEqual(['error: file-not-found: There is no file or folder /x']);
    expect(failureLines(new ConfigurationError(['PORT: bad', 'HOST: bad']), false)).toEqual(['error: configuration-invalid: PORT: bad', 'error: configuration-invalid: HOST: bad']);
  });

  it('shows its stack on request only', () => {
    expect(failureLines(new AppError('internal'), true)).toHaveLength(2);
  });
});
