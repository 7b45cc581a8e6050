/**
 * Every error that leaves the process has a stable code. The table gives the HTTP status and the titles;
 * `platform/http` turns it into RFC 9457 problem+json, the command line into one line.
 */
export const ERROR_CODES = {
  // The request
  'bad-request': { status: 400, en: 'Bad request', zh: '请求无效' },
  'invalid-body': { status: 400, en: 'The request body is not valid', zh: '请求体无效' },
  'invalid-query': { status: 400, en: 'A query parameter is not valid', zh: '查询参数无效' },
  'malformed-multipart': { status: 400, en: 'The multipart body cannot be read', zh: '无法读取多部分请求体' },
  'unauthenticated': { status: 401, en: 'Authentication is required', zh: '需要身份验证' },
  'invalid-credentials': { status: 401, en: 'The credentials are not valid', zh: '凭据无效' },
  'forbidden': { status: 403, en: 'Not permitted', zh: '没有权限' },
  'not-found': { status: 404, en: 'Not found', zh: '未找到' },
  'method-not-allowed': { status: 405, en: 'Method not allowed', zh: '不允许的方法' },
  'not-acceptable': { status: 406, en: 'None of the accepted media types can be produced', zh: '无法生成所要求的媒体类型' },
  'conflict': { status: 409, en: 'The request conflicts with the present state', zh: '请求与当前状态冲突' },
  'precondition-failed': { status: 412, en: 'The resource has changed since it was read', zh: '资源已被修改' },
  'precondition-required': { status: 428, en: 'The request must say which version it is about (If-Match)', zh: '请求必须用 If-Match 指明所针对的版本' },
  'request-timeout': { status: 408, en: 'The request took too long to arrive', zh: '请求超时' },
  'uri-too-long': { status: 414, en: 'The URL is too long', zh: '网址过长' },
  'range-not-satisfiable': { status: 416, en: 'The range lies outside of the object', zh: '请求范围无效' },
  'expectation-failed': { status: 417, en: 'The expectation of the request cannot be met', zh: '无法满足请求的期望' },
  'headers-too-large': { status: 431, en: 'The header fields are too large', zh: '请求头过大' },
  'payload-too-large': { status: 413, en: 'The request is too large', zh: '请求过大' },
  'unsupported-media-type': { status: 415, en: 'The media type is not supported', zh: '不支持的媒体类型' },
  'unprocessable': { status: 422, en: 'The request cannot be carried out', zh: '无法处理该请求' },
  'idempotency-key-reused': { status: 422, en: 'The Idempotency-Key was used with another body', zh: '幂等键已用于其他请求体' },
  'too-many-requests': { status: 429, en: 'Too many requests', zh: '请求过多' },
  // The installation
  'internal': { status: 500, en: 'An unexpected error occurred', zh: '发生意外错误' },
  'database-unavailable': { status: 503, en: 'The database does not answer', zh: '数据库无响应' },
  'queue-unavailable': { status: 503, en: 'The queue does not answer', zh: '队列无响应' },
  'storage-unavailable': { status: 503, en: 'The blob store does not answer', zh: '存储无响应' },
  'storage-full': { status: 507, en: 'No room is left on the storage', zh: '存储空间不足' },
  'blob-missing': { status: 500, en: 'A stored object is missing', zh: '存储对象缺失' },
  'blob-corrupt': { status: 500, en: 'A stored object is damaged', zh: '存储对象已损坏' },
  'key-destroyed': { status: 410, en: 'The key of this data was destroyed', zh: '数据密钥已销毁' },
  'overloaded': { status: 503, en: 'The server has too much to do at present', zh: '服务器当前负载过高' },
  'thread-lost': { status: 500, en: 'A thread died while it processed the request', zh: '处理请求的线程异常终止' },
  'processing-timeout': { status: 500, en: 'The processing took longer than allowed', zh: '处理超时' },
  'shutting-down': { status: 503, en: 'The server is shutting down', zh: '服务器正在关闭' },
  'configuration-invalid': { status: 500, en: 'The configuration is not valid', zh: '配置无效' },
  // Backup and restore
  'backup-running': { status: 409, en: 'Another backup is under way', zh: '另一个备份正在进行' },
  'backup-not-found': { status: 404, en: 'There is no such backup', zh: '没有该备份' },
  'backup-corrupt': { status: 422, en: 'The backup is damaged', zh: '备份已损坏' },
  'backup-incompatible': { status: 422, en: 'The backup was made by a version that this one cannot read', zh: '备份由本版本无法读取的版本生成' },
  'backup-identity-wrong': { status: 422, en: 'The backup cannot be opened with this identity or passphrase', zh: '该身份密钥或口令无法打开备份' },
  'backup-key-missing': { status: 422, en: 'The master key that the backup was made under is missing', zh: '缺少备份所用的主密钥' },
  'restore-target-not-empty': { status: 409, en: 'The installation is not empty', zh: '目标安装不为空' },
  // Files and images
  'empty-file': { status: 422, en: 'The file is empty', zh: '文件为空' },
  'not-dicom': { status: 422, en: 'The file is neither DICOM nor a supported image or archive', zh: '文件不是 DICOM，也不是支持的图像或压缩包' },
  'truncated-file': { status: 422, en: 'The file ends before its data does', zh: '文件不完整' },
  'invalid-dicom': { status: 422, en: 'The DICOM data set cannot be read', zh: '无法读取 DICOM 数据集' },
  'missing-uid': { status: 422, en: 'A required UID is missing or not valid', zh: '缺少必需的 UID 或其无效' },
  'missing-sop-class': { status: 422, en: 'The SOP Class UID is missing', zh: '缺少 SOP 类 UID' },
  'unsupported-transfer-syntax': { status: 422, en: 'The transfer syntax is not supported', zh: '不支持的传输语法' },
  'unsupported-photometric': { status: 422, en: 'The photometric interpretation is not supported', zh: '不支持的光度解释' },
  'no-pixel-data': { status: 422, en: 'The object has no pixel data', zh: '对象没有像素数据' },
  'invalid-pixel-data': { status: 422, en: 'The pixel data do not match their description', zh: '像素数据与描述不符' },
  'pixel-data-undecodable': { status: 422, en: 'The pixel data cannot be decoded', zh: '像素数据无法解码' },
  'image-too-large': { status: 422, en: 'The image has too many pixels', zh: '图像像素过多' },
  'frame-not-found': { status: 404, en: 'The object has no such frame', zh: '对象没有该帧' },
  'invalid-image': { status: 422, en: 'The image cannot be decoded', zh: '图像无法解码' },
  'invalid-image-fields': { status: 422, en: 'The fields that describe the image are not valid', zh: '图像描述字段无效' },
  'invalid-archive': { status: 422, en: 'The archive cannot be read', zh: '无法读取压缩包' },
  'archive-bomb': { status: 422, en: 'The archive expands beyond what is allowed', zh: '压缩包展开后超出限制' },
  'unsafe-archive-path': { status: 422, en: 'An archive entry points outside the archive', zh: '压缩包条目路径不安全' },
  'instance-conflict': { status: 409, en: 'Another object with this SOP Instance UID is stored', zh: '已存在相同 SOP 实例 UID 的其他对象' },
  'wrong-study': { status: 409, en: 'The instance belongs to another study', zh: '实例属于其他检查' },
  // Studies and analyses
  'study-not-found': { status: 404, en: 'No such study', zh: '检查不存在' },
  'series-not-found': { status: 404, en: 'No such series', zh: '序列不存在' },
  'instance-not-found': { status: 404, en: 'No such instance', zh: '实例不存在' },
  'analysis-not-found': { status: 404, en: 'No such analysis', zh: '分析不存在' },
  'result-not-found': { status: 404, en: 'No such result', zh: '结果不存在' },
  'no-prior-result': { status: 404, en: 'The patient has no earlier result of this analysis', zh: '该患者没有此分析的既往结果' },
  'results-not-comparable': { status: 422, en: 'The results cannot be compared', zh: '结果无法比较' },
  'derived-object-not-found': { status: 404, en: 'The result has no such DICOM object', zh: '该结果没有此类 DICOM 对象' },
  'source-changed': { status: 409, en: 'The images that the result was read from have changed', zh: '结果所依据的图像已更改' },
  'finding-not-found': { status: 404, en: 'No such finding', zh: '所见不存在' },
  'result-withheld': { status: 409, en: 'The result is withheld', zh: '结果已被扣留' },
  'result-signed': { status: 409, en: 'The result is signed: only an amendment changes it', zh: '结果已签署，只能通过修订更改' },
  'result-not-signed': { status: 409, en: 'The result is not signed', zh: '结果尚未签署' },
  'result-version-not-found': { status: 404, en: 'The result has no such version', zh: '结果没有该版本' },
  'result-unsigned-provenance': { status: 404, en: 'The result comes from a version that did not sign', zh: '该结果由未签名的旧版本生成' },
  'too-many-versions': { status: 409, en: 'The result has too many versions', zh: '结果版本过多' },
  'input-gone': { status: 409, en: 'The images that the result was made from are not stored any more', zh: '生成该结果的图像已不再保存' },
  'model-gone': { status: 409, en: 'The model that made the result is not installed any more', zh: '生成该结果的模型已不再安装' },
  'model-not-found': { status: 404, en: 'No such model', zh: '模型不存在' },
  'no-active-model': { status: 409, en: 'No model is active for this analysis', zh: '该分析没有可用模型' },
  'model-rejected': { status: 409, en: 'The model did not pass its checks', zh: '模型未通过检查' },
  'model-mismatch': { status: 422, en: 'The model belongs to another analysis', zh: '模型属于其他分析' },
  'model-files-missing': { status: 503, en: 'No worker that could take the run has the files of the model', zh: '没有可用的工作节点拥有该模型的文件' },
  'model-load-failed': { status: 500, en: 'The model cannot be loaded', zh: '模型无法加载' },
  'model-output-invalid': { status: 500, en: 'The model gave numbers that are not finite', zh: '模型输出无效' },
  'manifest-invalid': { status: 422, en: 'The model manifest is not valid', zh: '模型清单无效' },
  'model-signature-invalid': { status: 422, en: 'The signature of the model pack is not valid', zh: '模型包签名无效' },
  'model-conflict': { status: 409, en: 'Another model has this name and version', zh: '该名称和版本已被其他模型占用' },
  'model-not-switchable': { status: 409, en: 'The model cannot be put into this state', zh: '无法将模型切换到该状态' },
  'no-earlier-model': { status: 409, en: 'There is no earlier model to go back to', zh: '没有可回退的早期模型' },
  'model-not-chosen': { status: 404, en: 'The institution has not chosen this model', zh: '机构未选用该模型' },
  'analysis-not-cancellable': { status: 409, en: 'The analysis has ended and cannot be cancelled', zh: '分析已结束，无法取消' },
  'analysis-not-retryable': { status: 409, en: 'Only analyses that ended without a result can be retried', zh: '只有未产生结果的已结束分析可以重试' },
  'study-on-hold': { status: 409, en: 'The study is under legal hold', zh: '检查处于法律保留状态' },
  'bulk-data-not-found': { status: 404, en: 'No such bulk data', zh: '批量数据不存在' },
  'unsupported-matching': { status: 400, en: 'This matching cannot be done on encrypted attributes', zh: '加密属性不支持此匹配方式' },
  'upload-not-found': { status: 404, en: 'No such upload', zh: '上传不存在' },
  'upload-expired': { status: 410, en: 'The upload has expired', zh: '上传已过期' },
  'upload-offset-conflict': { status: 409, en: 'The upload stands at another offset', zh: '上传偏移量不一致' },
  // tus 1.0, checksum extension
  'upload-checksum-mismatch': { status: 460, en: 'The bytes do not match their checksum', zh: '数据与校验和不符' },
  'routing-rule-not-found': { status: 404, en: 'No such routing rule', zh: '路由规则不存在' },
  'dimse-caller-not-found': { status: 404, en: 'No such DIMSE caller', zh: 'DIMSE 调用方不存在' },
  'destination-not-found': { status: 404, en: 'No such destination', zh: '目的地不存在' },
  'webhook-not-found': { status: 404, en: 'No such webhook', zh: 'Webhook 不存在' },
  'delivery-not-found': { status: 404, en: 'No such delivery', zh: '投递记录不存在' },
  'ae-title-taken': { status: 409, en: 'This AE title is taken', zh: 'AE 标题已被占用' },
  'study-deleted': { status: 409, en: 'The study was deleted', zh: '检查已删除' },
  'out-of-memory': { status: 500, en: 'The worker ran out of memory', zh: '工作进程内存不足' },
  'worker-lost': { status: 500, en: 'The worker died repeatedly while running this analysis', zh: '工作进程多次异常终止' },
  'time-limit': { status: 500, en: 'The analysis took longer than allowed', zh: '分析超时' },
  // People and systems
  'user-not-found': { status: 404, en: 'No such user', zh: '用户不存在' },
  'institution-not-found': { status: 404, en: 'No such institution', zh: '机构不存在' },
  'api-key-not-found': { status: 404, en: 'No such API key', zh: 'API 密钥不存在' },
  'oauth-client-not-found': { status: 404, en: 'No such OAuth client', zh: 'OAuth 客户端不存在' },
  'session-not-found': { status: 404, en: 'No such session', zh: '会话不存在' },
  'invitation-not-found': { status: 404, en: 'The link is not valid (any more)', zh: '链接无效或已失效' },
  'weak-password': { status: 422, en: 'The password does not meet the policy', zh: '密码不符合安全策略' },
  'second-factor-required': { status: 403, en: 'A second factor must be set up first', zh: '必须先设置双因素验证' },
  'password-incorrect': { status: 422, en: 'The present password is another one', zh: '当前密码不正确' },
  'second-factor-missing': { status: 401, en: 'The code of the second factor is needed', zh: '需要双因素验证码' },
  'second-factor-invalid': { status: 422, en: 'The code is not valid', zh: '验证码无效' },
  'csrf-token-invalid': { status: 403, en: 'The X-CSRF-Token is missing or not valid', zh: '缺少 X-CSRF-Token 或其无效' },
  'access-reason-required': { status: 400, en: 'A reason is required to enter another institution', zh: '访问其他机构必须说明理由' },
  'institution-suspended': { status: 403, en: 'The institution is suspended', zh: '机构已停用' },
  'patient-not-found': { status: 404, en: 'No such patient', zh: '患者不存在' },
  'break-glass-not-found': { status: 404, en: 'No such emergency access', zh: '紧急访问不存在' },
  'url-not-allowed': { status: 422, en: 'The URL is not allowed', zh: '不允许使用该网址' },
  'audit-event-not-found': { status: 404, en: 'No such audit event', zh: '审计事件不存在' },
  'remote-unavailable': { status: 502, en: 'Another server did not answer as it should', zh: '其他服务器未正常响应' },
  'audit-unavailable': { status: 503, en: 'The access cannot be recorded', zh: '无法记录访问' },
  'issuer-unavailable': { status: 503, en: 'The identity provider does not answer', zh: '身份提供方无响应' },
  'viewer-not-installed': { status: 404, en: 'The viewer is not installed', zh: '未安装影像查看器' },
  'notification-not-found': { status: 404, en: 'No such notification', zh: '通知不存在' },
  'escalation-not-found': { status: 404, en: 'The notification has no escalation', zh: '该通知没有升级记录' },
  'queue-not-found': { status: 404, en: 'No such queue', zh: '队列不存在' },
  'job-not-found': { status: 404, en: 'No such job', zh: '作业不存在' },
  'job-not-parked': { status: 409, en: 'Only a job that was given up can be retried', zh: '只有已放弃的作业可以重试' },
  'job-not-removable': { status: 409, en: 'The job cannot be removed now', zh: '当前无法移除该作业' },
  'scope-not-held': { status: 403, en: 'A key cannot carry a permission its owner lacks', zh: '密钥不能包含所有者没有的权限' },
} as const satisfies Record<string, { status: number; en: string; zh: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;
export type Language = 'en' | 'zh-CN';

/** One fault in a body or query; `pointer` is an RFC 6901 JSON pointer. */
export interface FieldError {
  pointer: string;
  detail: string;
}

export interface AppErrorOptions {
  /** A sentence for the caller. Never PHI: it is logged. */
  detail?: string;
  errors?: FieldError[];
  cause?: unknown;
  /** Seconds for `Retry-After`. */
  retryAfterSeconds?: number;
}

/** The one error type that modules throw. Transport-neutral; the code decides the status. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly detail: string | undefined;
  readonly errors: FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: ErrorCode,
    options: AppErrorOptions = {},
  ) {
    super(options.detail ?? ERROR_CODES[code].en, { cause: options.cause });
    this.detail = options.detail;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/** The title of a code in the caller's language. */
export function errorTitle(code: ErrorCode, language: Language = 'en'): string {
  return language === 'zh-CN' ? ERROR_CODES[code].zh : ERROR_CODES[code].en;
}

/** True for errors of the file system or S3 that mean "no room left". */
export function isNoSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
