import type { Language } from '../../kernel/errors.js';

/** What stands on a report beside what was found. */
export interface ReportTexts {
  title: Readonly<Record<string, string>>;
  otherTitle: string;
  status: Readonly<Record<'preliminary' | 'final' | 'amended' | 'withheld', { text: string; explanation: string }>>;
  name: string;
  patientId: string;
  birthDate: string;
  sex: string;
  sexes: Readonly<Record<string, string>>;
  years: (age: string) => string;
  studyDate: string;
  accession: string;
  study: string;
  site: string;
  summary: string;
  critical: string;
  findings: string;
  noFindings: string;
  number: string;
  finding: string;
  place: string;
  measurements: string;
  properties: string;
  score: string;
  labels: string;
  label: string;
  probability: string;
  threshold: string;
  verdict: string;
  above: string;
  below: string;
  segments: string;
  segment: string;
  volume: string;
  model: string;
  intendedUse: string;
  domain: string;
  ages: (min: number, max: number) => string;
  limits: string;
  signed: string;
  signedBy: (name: string, at: string) => string;
  result: string;
  madeAt: string;
  modelDigest: string;
  inputDigest: string;
  /** Of a reader: by finding, by label, and how much a reader rejected. */
  review: string;
  reviews: Readonly<Record<'accepted' | 'rejected' | 'edited' | 'added' | 'none', string>>;
  agreed: string;
  readerPresent: string;
  readerAbsent: string;
  disagreed: string;
  rejected: (count: number) => string;
  reviewed: string;
  reopened: string;
  more: string;
  page: string;
  noPicture: string;
  unprintable: string;
  planes: Readonly<Record<'axial' | 'coronal' | 'sagittal', string>>;
  heatMap: string;
  colon: string;
  separator: string;
}

export const REPORT_TEXTS: Readonly<Record<Language, ReportTexts>> = {
  en: {
    title: { 'chest-xray-classification': 'Chest X-ray: AI report', 'lung-nodule-detection': 'Lung nodules on CT: AI report', 'brain-tumour-segmentation': 'Brain tumour on MR: AI report' },
    otherTitle: 'AI report',
    status: {
      preliminary: { text: 'PRELIMINARY', explanation: 'Made by software; not signed by a person' },
      final: { text: 'FINAL', explanation: 'Reviewed and signed' },
      amended: { text: 'AMENDED', explanation: 'Changed after it was signed, and signed again' },
      withheld: { text: 'WITHHELD', explanation: 'Not released' },
    },
    name: 'Patient', patientId: 'Patient ID', birthDate: 'Birth date', sex: 'Sex', sexes: { M: 'Male', F: 'Female', O: 'Other' }, years: (age) => `${age} y`,
    studyDate: 'Study date', accession: 'Accession number', study: 'Study', site: 'Place of the study',
    summary: 'Summary', critical: 'CRITICAL', findings: 'Findings', noFindings: 'Nothing was found.',
    number: 'No.', finding: 'Finding', place: 'Site', measurements: 'Measurements', properties: 'Properties', score: 'Score',
    labels: 'Labels', label: 'Label', probability: 'Probability', threshold: 'Threshold', verdict: 'Result', above: 'above threshold', below: 'below threshold',
    segments: 'Segments', segment: 'Segment', volume: 'Volume',
    model: 'Model and its limits', intendedUse: 'Intended use', domain: 'Made for', ages: (min, max) => `ages ${String(min)}–${String(max)}`,
    limits: 'Findings may be missed and may be wrong; a score says how sure the model is, not how likely a disease is. A qualified person must look at the images.',
    signed: 'Signature', signedBy: (name, at) => `Signed by ${name}, ${at}`,
    result: 'Result', madeAt: 'made', modelDigest: 'Model', inputDigest: 'Input',
    review: 'Reader', reviews: { accepted: 'accepted', rejected: 'rejected', edited: 'edited', added: 'added', none: '–' },
    agreed: 'agreed', readerPresent: 'present, says the reader', readerAbsent: 'absent, says the reader', disagreed: 'the reader disagrees',
    rejected: (count) => (count === 1 ? 'A reader rejected 1 finding, which is not listed.' : `A reader rejected ${String(count)} findings, which are not listed.`),
    reviewed: 'Reviewed by a person; not signed yet', reopened: 'Opened again after it was signed; not signed yet',
    more: '{count} more on the following pages', page: 'Page {page} of {pages}', noPicture: 'The image is not stored any more',
    unprintable: '[?] stands for characters that the fonts of this document lack; the web page of this report shows them.',
    planes: { axial: 'axial', coronal: 'coronal', sagittal: 'sagittal' }, heatMap: 'where the evidence lies', colon: ': ', separator: ', ',
  },
  'zh-CN': {
    title: { 'chest-xray-classification': '胸部X线：人工智能报告', 'lung-nodule-detection': '胸部CT肺结节：人工智能报告', 'brain-tumour-segmentation': '颅脑MR肿瘤：人工智能报告' },
    otherTitle: '人工智能报告',
    status: {
      preliminary: { text: '初步', explanation: '由软件生成，尚未经人员签发' },
      final: { text: '最终', explanation: '已审阅并签发' },
      amended: { text: '已修订', explanation: '签发后有更改，并已重新签发' },
      withheld: { text: '暂扣', explanation: '未发布' },
    },
    name: '患者', patientId: '患者编号', birthDate: '出生日期', sex: '性别', sexes: { M: '男', F: '女', O: '其他' }, years: (age) => `${age}岁`,
    studyDate: '检查日期', accession: '检查号', study: '检查', site: '检查机构',
    summary: '概要', critical: '危急', findings: '所见', noFindings: '未见异常所见。',
    number: '序号', finding: '所见', place: '部位', measurements: '测量值', properties: '特征', score: '评分',
    labels: '标签', label: '标签', probability: '概率', threshold: '阈值', verdict: '结果', above: '高于阈值', below: '低于阈值',
    segments: '分割区域', segment: '区域', volume: '体积',
    model: '模型及其局限', intendedUse: '预期用途', domain: '适用范围', ages: (min, max) => `${String(min)}–${String(max)}岁`,
    limits: '可能遗漏或误报所见；评分表示模型的把握程度，并非患病概率。须由具备资质的人员阅览图像。',
    signed: '签发', signedBy: (name, at) => `签发人：${name}，${at}`,
    result: '结果', madeAt: '生成于', modelDigest: '模型', inputDigest: '输入',
    review: '阅片', reviews: { accepted: '认可', rejected: '否定', edited: '已修改', added: '补充', none: '–' },
    agreed: '认可', readerPresent: '阅片者判为有', readerAbsent: '阅片者判为无', disagreed: '阅片者不认可',
    rejected: (count) => `阅片者否定了 ${String(count)} 项所见，未列出。`,
    reviewed: '已有人员审阅，尚未签发', reopened: '签发后重新打开，尚未再次签发',
    more: '其余 {count} 项见后续页', page: '第 {page} 页，共 {pages} 页', noPicture: '图像已不再保存',
    unprintable: '[?] 表示本文件字体所缺的字符；本报告的网页可显示这些字符。',
    planes: { axial: '横断面', coronal: '冠状面', sagittal: '矢状面' }, heatMap: '依据所在位置', colon: '：', separator: '，',
  },
};
