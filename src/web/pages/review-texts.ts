import type { RejectionReason } from '../../imaging/report/finding.js';
import { attributeValueText, propertyName } from '../../imaging/report/measurement-text.js';
import { displayNameOf } from '../../imaging/report/terms.js';
import type { Language } from '../../kernel/errors.js';
import { WORKLIST_TEXTS } from './worklist-texts.js';

/** What the analyses say of their findings, as the script meets it. Of anything else it shows the word as it came. */
const PROPERTIES = ['diameter', 'longAxis', 'shortAxis', 'perpendicularDiameter', 'solidDiameter', 'volume', 'meanAttenuation', 'coreVolume', 'enhancingVolume', 'enhancingDiameter', 'enhancingPerpendicularDiameter', 'midlineShift', 'attenuation', 'side', 'zone', 'lungRads'];
const VALUES = ['solid', 'part-solid', 'ground-glass', 'left', 'right', 'upper', 'middle', 'lower', 'present', 'absent'];
const KINDS = ['nodule', 'tumour', 'whole-tumour', 'tumour-core', 'enhancing-tumour', 'oedema', 'necrosis'];

function wordsIn(language: Language): Record<'properties' | 'values' | 'kinds', Record<string, string>> {
  const each = (names: readonly string[], text: (name: string) => string): Record<string, string> => Object.fromEntries(names.map((name) => [name, text(name)]));
  return {
    properties: each(PROPERTIES, (name) => propertyName(name, language)),
    values: each(VALUES, (value) => attributeValueText({ value }, language)),
    kinds: each(KINDS, (kind) => displayNameOf(kind, language)),
  };
}

/** What is called the same in the worklist. */
function sharedIn(language: Language): Pick<(typeof WORKLIST_TEXTS)[Language]['script'], 'analyses' | 'reviews' | 'critical' | 'born' | 'unnamed' | 'unreadable' | 'noDate'> {
  const { analyses, reviews, critical, born, unnamed, unreadable, noDate } = WORKLIST_TEXTS[language].script;
  return { analyses, reviews, critical, born, unnamed, unreadable, noDate };
}

const EN = {
  elsewhere: 'Elsewhere',
  images: 'Images',
  pdf: 'Report (PDF)',
  findings: 'Findings',
  labels: 'Classes',
  segments: 'Segments',
  save: 'Save the review',
  choose: 'Choose …',
  readingOnly: 'Your account may look at the result and not change it.',
  add: 'Add what the model missed',
  diameter: 'Diameter, mm',
  where: 'Where and what, in words',
  addNow: 'Add it',
  sign: 'Sign',
  signHint: 'What nobody has decided about stands as the model made it once the result is signed. Enter the password, or a code of the second factor.',
  meaning: 'What the signature says',
  meanings: { approved: 'I approve the result', reviewed: 'I have reviewed the result', responsible: 'I am responsible for the result' },
  statement: 'More, in words (optional)',
  password: 'Password',
  code: 'Or a code of the second factor',
  signNow: 'Sign the result',
  amend: 'Amend',
  amendHint: 'The result is signed. To change it, say why: a new version is opened, and the signed one stays readable.',
  amendReason: 'Why',
  amendNow: 'Open it again',
  history: 'What was done',
  reasons: {
    'not-present': 'Nothing is there', 'artefact': 'An artefact', 'normal-anatomy': 'Normal anatomy', 'wrong-location': 'In the wrong place', 'duplicate': 'Found twice', 'not-relevant': 'Not relevant', 'other': 'Another reason (say which)',
  } satisfies Record<RejectionReason, string>,
  script: {
    ...sharedIn('en'),
    words: wordsIn('en'),
    accept: 'Accept', acceptModel: 'As the model made it', reject: 'Reject', edit: 'Correct', agree: 'Agree', disagree: 'Disagree', undo: 'Undo', remove: 'Leave it out',
    isPresent: 'It is present', isAbsent: 'It is absent',
    why: 'Why', comment: 'Comment',
    decisionOf: 'What you make of: {what}',
    states: { accepted: 'Accepted', rejected: 'Rejected', edited: 'Corrected', added: 'Added by a reader', agreed: 'Agreed', disagreed: 'Not agreed' },
    undecided: 'Undecided', unsaved: 'not saved yet', unfinished: 'not complete yet', bySignOff: 'with the signature',
    score: 'the model is {percent} sure',
    above: 'Model: present, {percent} (from {threshold})', below: 'Model: absent, {percent} (present from {threshold})',
    present: 'present', absent: 'absent',
    none: 'The model found nothing.',
    picture: 'Picture of: {what}',
    pending: '{count} decisions are not saved yet', pendingOne: 'One decision is not saved yet',
    saved: 'The review is saved.', signed: 'The result is signed.', opened: 'The result is open again. It stays unsigned until somebody signs it.',
    stale: 'Somebody has changed the result meanwhile. It is shown as it stands now; your decisions are still here and not saved.',
    nothing: 'Decide something first.', incomplete: 'A decision is not complete: {what}. A rejection needs a reason, a correction another value.', missedFirst: 'Add what you entered as missed first, or clear it.', addNothing: 'Enter a diameter or some words.', unsavedFirst: 'Save your decisions first, or undo them.', proofNeeded: 'Enter the password or a code.',
    missing: 'There is no such result, or your account may not see it.', withheld: 'The result was withheld: it did not pass its checks.',
    made: 'Made by the model', kinds: { 'analysis': 'analysis', 'review': 'review', 'amendment': 'amendment', 'sign-off': 'signature' },
    entry: '{date} · {name} · {kind}', decisions: '{count} decisions', decisionsOne: 'one decision',
    findingAdded: 'Added: {what}',
  },
};

export type ReviewTexts = typeof EN;

const ZH: ReviewTexts = {
  elsewhere: '其他页面',
  images: '影像',
  pdf: '报告 (PDF)',
  findings: '所见',
  labels: '分类',
  segments: '分割',
  save: '保存审核',
  choose: '请选择……',
  readingOnly: '您的账户只能查看该结果，不能更改。',
  add: '补充模型遗漏的所见',
  diameter: '直径（mm）',
  where: '位置与描述',
  addNow: '补充',
  sign: '签发',
  signHint: '签发后，未作判断的内容按模型结果成立。请输入密码或双因素验证码。',
  meaning: '签名含义',
  meanings: { approved: '本人批准该结果', reviewed: '本人已审核该结果', responsible: '本人对该结果负责' },
  statement: '补充说明（可选）',
  password: '密码',
  code: '或双因素验证码',
  signNow: '签发结果',
  amend: '修订',
  amendHint: '结果已签发。如需更改，请说明原因：系统将建立新版本，已签发的版本仍可查阅。',
  amendReason: '原因',
  amendNow: '重新打开',
  history: '操作记录',
  reasons: { 'not-present': '该处无异常', 'artefact': '伪影', 'normal-anatomy': '正常解剖结构', 'wrong-location': '位置错误', 'duplicate': '重复', 'not-relevant': '无临床意义', 'other': '其他原因（请说明）' },
  script: {
    ...sharedIn('zh-CN'),
    words: wordsIn('zh-CN'),
    accept: '接受', acceptModel: '恢复为模型结果', reject: '拒绝', edit: '更正', agree: '同意', disagree: '不同意', undo: '撤销', remove: '移除',
    isPresent: '判为有', isAbsent: '判为无',
    why: '原因', comment: '备注',
    decisionOf: '您对此的判断：{what}',
    states: { accepted: '已接受', rejected: '已拒绝', edited: '已更正', added: '阅片者补充', agreed: '已同意', disagreed: '不同意' },
    undecided: '未判断', unsaved: '尚未保存', unfinished: '尚未填完', bySignOff: '随签发成立',
    score: '模型置信度 {percent}',
    above: '模型：有，{percent}（阈值 {threshold}）', below: '模型：无，{percent}（阈值 {threshold}）',
    present: '有', absent: '无',
    none: '模型未检出所见。',
    picture: '图像：{what}',
    pending: '{count} 项判断尚未保存', pendingOne: '1 项判断尚未保存',
    saved: '审核已保存。', signed: '结果已签发。', opened: '结果已重新打开，再次签发前视为未签发。',
    stale: '结果已被他人更改，现显示最新内容；您的判断仍保留在页面上，尚未保存。',
    nothing: '请先作出判断。', incomplete: '有一项判断尚未填完：{what}。拒绝需选择原因，更正需更改数值。', missedFirst: '请先补充您填写的遗漏所见，或将其清空。', addNothing: '请输入直径或描述。', unsavedFirst: '请先保存或撤销您的判断。', proofNeeded: '请输入密码或验证码。',
    missing: '没有该结果，或您的账户无权查看。', withheld: '该结果未通过检查，已被扣留。',
    made: '模型生成', kinds: { 'analysis': '分析', 'review': '审核', 'amendment': '修订', 'sign-off': '签发' },
    entry: '{date} · {name} · {kind}', decisions: '{count} 项判断', decisionsOne: '1 项判断',
    findingAdded: '补充：{what}',
  },
};

export const REVIEW_TEXTS: Readonly<Record<Language, ReviewTexts>> = { 'en': EN, 'zh-CN': ZH };
