/**
 * Words that may stay in descriptions: anatomy, directions, techniques, contrast, phases of an examination. A word that is also
 * a common name is here only where radiology cannot do without it.
 */
const WORDS = `
  abd abdo abdomen abdominal abdominopelvic acetabulum acetabular achilles acromion acromioclavicular adrenal adrenals airway airways alveolar ankle ankles anterior aorta aortic aortogram
  appendix arch arm arms arterial arteries artery atrial atrium auditory axilla axillary basal base bilat bilateral bile biliary bladder body bone bones bony bowel brachial brachium brain
  brainstem breast breasts bronchi bronchial bronchus buttock calcaneus calf canal cardiac carotid carotids carpal caudal cavity celiac central cerebellar cerebellum cerebral cerebrum
  cervical cervix cheek chest chin circle clavicle clavicles coccyx colon condyle cord coronaries coronary cortex cortical costal cranial cranium cubital digit digits disc discs disk
  distal dorsal duct ducts duodenum ear ears elbow elbows endometrium entire epigastric esophagus oesophagus extracranial extremities extremity eye eyes eyelid face facial feet femoral femur
  femurs fetal fetus fibula finger fingers foot foramen forearm forefoot fossa frontal gallbladder gastric gastrointestinal genital gland glands gluteal groin hand hands head heart heel
  hemipelvis hepatic hepatobiliary hindfoot hip hips humerus hyoid iac ileum iliac inferior infratemporal inguinal inner internal intestinal intestine intracranial jaw jejunum joint joints
  kidney kidneys knee knees kub lacrimal larynx lat lateral leg legs ligament limb limbs lip liver lobe lower lumbar lumbosacral lung lungs lymph lymphatic malleolus mammary mandible mandibular
  mastoid mastoids maxilla maxillary maxillofacial meatus medial median mediastinal mediastinum meniscus mesenteric metacarpal metatarsal midfoot middle mouth muscle muscles myocardial
  myocardium nasal nasopharynx navicular neck nerve nerves node nodes nose occipital optic oral orbit orbital orbits oropharynx ovarian ovaries ovary palate pancreas pancreatic paranasal
  parathyroid parietal parotid parotids patella patellae patellofemoral pelvic pelvis penis pericardial pericardium perineum peripheral peritoneal petrous phalanx pharynx pituitary placenta
  plantar pleura pleural plexus popliteal portal posterior prostate prostatic proximal pubis pulmonary pulm radius rectal rectum renal retina retroperitoneal retroperitoneum rib ribs sacral
  sacroiliac sacrum salivary scaphoid scapula scapulae scrotal scrotum sella sellar septum shoulder shoulders sinus sinuses skeletal skeleton skull spinal spine spleen splenic sternoclavicular
  sternum stomach subclavian sublingual submandibular superior tailbone talus tarsal temporal temporomandibular tendon testes testicle testicular thigh thighs thoracic thoracoabdominal
  thoracolumbar thorax throat thumb thymus thyroid tibia tibial tibiofibular tmj toe toes tongue tooth teeth trachea tracheal tricuspid mitral trunk ulna umbilical upper ureter ureters urethra
  urinary uterine uterus vagina vascular vein veins vena cava venous ventricle ventricles ventricular vertebra vertebrae vertebral vessel vessels viscera wall whole wrist wrists zygoma
  cspine tspine lspine wholebody thor gi gu msk cns csf ivc svc lad rca lca cca ica eca vca

  ap pa ll rl lr al lt rt l r left right ax axi axial cor coronal sag sagittal oblique obl tra trans transverse transversal transaxial tilted supine prone erect upright decubitus standing
  sitting recumbent weightbearing bearing weight flexion extension abduction adduction internal external rotation tangential tangent view views projection proj position positioned swimmers
  sunrise skyline notch townes caldwell panorex panoramic frog frogleg outlet inlet axillary scout scouts localizer localiser localizers loc topogram surview planar orthogonal radial
  longitudinal short long axis sax lax chamber chambers vla hla lvot rvot sa la apical parasternal subcostal suprasternal cranio craniocaudal mlo cc xccl ml lm cleavage spot magnification mag
  compression tomo tomosynthesis

  ct cta ctp ctv ctdi mr mri mra mrv mrcp mrs mrs3d pet petct petmr spect us usg ultrasound sono sonography doppler duplex color colour xr xray x-ray x-rays cr dr dx rf xa dsa nm mg dexa
  fluoro fluoroscopy angio angiogram angiography arteriogram venogram venography arthrogram arthrography myelogram cystogram vcug ivu ivp hsg ercp urogram urography enterography
  enteroclysis colonography colonoscopy cholangiogram mammo mammogram mammography radiograph radiography tomography scan scans scanogram imaging image images exam examination study series
  protocol sequence acquisition acq recon reconstruction reconstructions reformat reformats reformatted reformation mpr mprs cpr mip minip mips vr vrt ssd volume rendering rendered thick thin
  slab slabs slice slices thickness interval gap spacing fov dfov sfov matrix resolution hires hrct high low ultra ultralow dose lowdose dual energy de mono monoenergetic virtual iodine map maps
  perfusion perf cbf cbv mtt ttp tmax rcbf rcbv diffusion dwi dti adc fa trace tensor tractography bold fmri functional spectroscopy csi svs asl swi swan susceptibility phase mag magnitude
  flow pc velocity venc cine tagging tagged stress rest viability delayed late early gated gating ecg trigger triggered prospective retrospective respiratory resp breath breathhold hold bh
  free inspiration insp inspiratory expiration exp expiratory valsalva motion correction corrected uncorrected corr ac nac attenuation

  t1 t2 t1w t2w pd pdw t2* t2star t1weighted weighted weighting wi tse fse ssfse haste space cube vista flair tirm stir spair spir fatsat fat fs fs. fatsuppressed suppressed suppression sat
  saturation water dixon ideal lava vibe thrive fame spgr fspgr flash tfe tfl mprage mp2rage bravo ffe gre ge se spinecho echo echoes gradient recalled epi ssepi fiesta trufi truefisp ciss
  bssfp balanced propeller blade multivane radial star starvibe tof pcmra twist tricks time resolved timeres inversion recovery ir tir dir psir double single multi multiecho multiphase dynamic
  dyn dce dsc kinematic static parallel grappa sense asset compressed accel acceleration navigator nav 2d 3d 4d iso isotropic fast turbo rapid quick

  contrast con con. without with w wo w/o w/wo wwo c c+ c- c+/- iv po gad gadolinium gadovist dotarem primovist eovist omnipaque iohexol iopamidol visipaque ultravist fdg f18 f-18 ga68 tc99m
  tc-99m mdp mibi psma dotatate bolus tracking smartprep premonitoring monitoring prep test pre post enhanced enhancement unenhanced nonenhanced noncontrast noncon native plain nc ce cect ncct
  arterialphase venousphase portalvenous nephrographic excretory corticomedullary parenchymal equilibrium delay delays washout wash wash-in injection injected

  bone soft tissue lung parenchyma mediastinum standard std sharp smooth edge detail kernel filter filtered window windowed wl ww iterative asir asir-v safire admire idose veo mbir deep learning
  dlr fbp original derived primary secondary processed unprocessed raw subtraction subtracted sub subs fused fusion overlay registered segmentation segmented seg labelmap mask rtstruct rtdose
  rtplan planning plan simulation sim treatment followup follow up baseline screening routine complete limited partial comparison additional add repeat initial preop postop intraop
  preoperative postoperative portable bedside mobile stat emergency er trauma stroke tumor tumour mass lesion lesions nodule nodules metastasis metastases staging biopsy guided drainage
  puncture aspiration ablation embolization stent graft catheter line tube placement implant prosthesis hardware fracture fx infection pe embolism dissection aneurysm stenosis stone stones
  calculi calcium score scoring cac calcification hemorrhage bleed infarct ischemia edema effusion pneumonia pneumothorax covid copd ild fibrosis emphysema asthma cyst cysts abscess hernia
  obstruction appendicitis diverticulitis pancreatitis cirrhosis hcc donor transplant bariatric pediatric paediatric adult child infant newborn neonatal neonate fetal

  and or of the in for to at on off no yes not is all both only each per via non none misc other axis angle degree degrees start end begin first second third last next prior before after
  upper min max mean average avg total sum set group part parts level levels region regions area zone top bottom mid side sides plane planes stack stacks step steps pass passes shot shots
  frame frames loop clip still movie page summary report result results quality control qc qa calibration phantom test reference ref snapshot screenshot screen save capture keyimage key
  mm cm ms sec kv kvp ma mas ml tesla x n a i ii iii iv vi vii viii ix
`;

/** 中文：部位、体位、方法、期相。长的在前由匹配保证。 */
const TERMS = `
  头颅 颅脑 头部 头颈 颅底 脑 脑干 小脑 垂体 鞍区 眼眶 眼 视神经 颞骨 内耳 中耳 乳突 鼻窦 副鼻窦 鼻咽 鼻骨 咽喉 喉 口腔 牙 颌面 上颌 下颌 颞下颌关节 腮腺 颈部 颈椎 甲状腺 胸部 胸 胸椎 胸骨 肋骨 锁骨 肺 肺部 双肺 纵隔
  气管 支气管 食管 食道 心脏 心 冠脉 冠状动脉 主动脉 肺动脉 肺静脉 心肌 乳腺 腋窝 腹部 腹 上腹 上腹部 中腹 下腹 下腹部 全腹 腹盆 肝 肝脏 肝胆 胆囊 胆道 胆管 胰 胰腺 脾 脾脏 胃 胃肠 肠 小肠 结肠 直肠 阑尾 肾 肾脏 双肾 肾上腺 输尿管
  膀胱 尿路 前列腺 子宫 附件 卵巢 睾丸 阴囊 盆腔 骨盆 腰椎 腰 骶椎 骶尾 骶髂关节 尾椎 脊柱 脊髓 全脊柱 椎间盘 髋 髋关节 双髋 股骨 大腿 膝 膝关节 双膝 髌骨 胫腓骨 小腿 踝 踝关节 足 足部 跟骨 肩 肩关节 肩胛骨 肱骨 上臂 肘 肘关节 前臂 尺桡骨
  腕 腕关节 手 手部 手指 上肢 下肢 四肢 双侧 左侧 右侧 左 右 双 单侧 血管 动脉 静脉 门静脉 下腔静脉 颈动脉 椎动脉 淋巴结 软组织 骨 关节 骨骼 全身
  平扫 增强 扫描 薄层 厚层 高分辨 低剂量 重建 三维 多平面 冠状位 矢状位 横断位 轴位 冠状 矢状 横断 斜位 正位 侧位 正侧位 后前位 前后位 仰卧位 俯卧位 立位 卧位 床旁 定位 定位像 造影 血管成像 动态 延迟 延迟期 动脉期 静脉期 门脉期 平衡期 排泄期 实质期
  吸气 呼气 屏气 灌注 弥散 扩散 波谱 水成像 功能成像 压脂 脂抑 加权 序列 成像 检查 复查 术前 术后 随访 筛查 穿刺 引导 活检 急诊 体检 骨窗 肺窗 纵隔窗 软组织窗 脑窗 超声 彩超 多普勒 透视 钼靶 摄影 数字 断层 融合 剂量 报告 图像 第 期 次
`;

const words = new Set(WORDS.trim().split(/\s+/));
const terms = new Set(TERMS.trim().split(/\s+/));
const longestTerm = Math.max(...[...terms].map((term) => term.length));

/** Numbers with a unit, matrices, kernels, b-values, vertebrae, single digits: nothing that could be a date, an age or an identifier. */
const TECHNICAL: readonly RegExp[] = [
  /^\d{1,3}(\.\d{1,3})?(mm|cm|s|sec|ms|kv|kvp|ma|mas|t|ml|hz|khz|mhz|deg|°|%|x|fps)$/,
  /^\d{1,4}x\d{1,4}(x\d{1,3})?$/,
  /^[bhijquf][rfv]?\d{2}[fshmv]?$/,
  /^b(0|50|[1-9]00|1[0-5]00)$/,
  /^(c[1-8]|th?([1-9]|1[0-2])|l[1-6]|s[1-5])$/,
  /^\d$/,
];

/** @param word  lower case */
export function isDescriptorWord(word: string): boolean {
  return words.has(word) || TECHNICAL.some((pattern) => pattern.test(word));
}

/** The longest term that a run of ideographs begins with; empty when it begins with none. */
export function descriptorTermAt(run: string): string {
  for (let length = Math.min(longestTerm, run.length); length > 0; length--) {
    const term = run.slice(0, length);
    if (terms.has(term)) return term;
  }
  return '';
}
