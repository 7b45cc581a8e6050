/** `README.txt` of an export: what the archive is, for the patient who gets it. */
export function patientExportReadme(at: Date): string {
  const date = at.toISOString();
  return `${ENGLISH.replace('%', date)}\n${'-'.repeat(72)}\n\n${CHINESE.replace('%', date)}`;
}

const ENGLISH = `Your data
=========

This archive holds what this institution keeps about one patient in HealthVision, as of %
(GDPR, Articles 15 and 20; HIPAA, 45 CFR 164.524).

patient.json     who the patient is, as the newest study says
studies.json     the examinations, with their series
analyses.json    what software has analysed
results.json     what it found: never a diagnosis by itself
dicom/           the images, one folder per study and series, in DICOM format:
                 any DICOM viewer opens them
dicom/<study>/manifest.json
                 size and SHA-256 of each image of the study; "missing" names
                 those that could not be read, and why
manifest.json    size and SHA-256 of every other file. It is the last file of the
                 archive: without it the archive is not whole, ask for it again

The JSON files are UTF-8 text. Keep the archive as you keep other medical records.
`;

const CHINESE = `您的数据
========

本压缩包包含该机构在 HealthVision 中保存的一名患者的全部数据，截至 %
（GDPR 第 15、20 条；HIPAA 45 CFR 164.524）。

patient.json     患者信息，以最新一次检查为准
studies.json     各次检查及其序列
analyses.json    软件进行过的分析
results.json     分析结果：其本身不构成诊断
dicom/           DICOM 格式的图像，按检查和序列分文件夹存放，可用任何 DICOM 阅片软件打开
dicom/<检查>/manifest.json
                 该检查每幅图像的大小和 SHA-256；“missing”列出无法读取的图像及原因
manifest.json    其他各文件的大小和 SHA-256。它是压缩包中的最后一个文件：缺少它即表示压缩包不完整，请重新获取

JSON 文件为 UTF-8 文本。请像保管其他病历资料一样妥善保管本压缩包。
`;
