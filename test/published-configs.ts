/** The six published Python configurations, key by key: what each says where they differ. */
import type { Task } from "../src/datasets/clip.js";

/** The published encoders, by the name of our configuration files. */
export type PublishedEncoder = "pvt2" | "res50";

const encoders = {
  pvt2: { type: "pvt_v2_b5", file: "pvt_v2_b5.pth", suffix: "", channels: "[64, 128, 320, 512]" },
  res50: {
    type: "res50",
    file: "resnet50-19c8e357.pth",
    suffix: "_res50",
    channels: "[256, 512, 1024, 2048]",
  },
} as const;

const datasets = {
  s4: { type: "S4Dataset", folder: "Single-source", stem: "s4" },
  ms3: { type: "MS3Dataset", folder: "Multi-sources", stem: "ms3" },
  avss: { type: "V2Dataset", folder: "AVSS", stem: "" },
} as const;

/** The text of the published configuration for `task` and `encoder`, its data below `data`. */
export function publishedConfig(task: Task, encoder: PublishedEncoder, data = "data"): string {
  // The AVSS file for ResNet-50 in fact names PVTv2.
  const { type, file, suffix, channels } = encoders[task === "avss" ? "pvt2" : encoder];
  const avss = task === "avss";
  const span = task === "s4" && encoder === "res50" ? "" : " t=5,";
  const frame = task === "s4" && encoder === "res50" ? " frame = 5," : "";
  const pixelWeight = avss || (task === "ms3" && encoder === "pvt2") ? "1.0" : "0.0";
  const process = {
    s4: "num_works=8,\n    freeze_epochs=-1,\n    train_epochs=30",
    ms3: "num_works=8,\n    train_epochs=60",
    avss: "num_works=8,\n    train_epochs=30,\n    start_eval_epoch=10,\n    eval_interval=1,\n    freeze_epochs=-1",
  };
  return `model = dict(
    type='AVS_Model',
    backbone=dict(
        type='${type}',
        init_weights_path='pretrained/${file}'),
    vggish=dict(
        freeze_audio_extractor=True,
        pretrained_vggish_model_path='pretrained/vggish-10086976.pth',
        preprocess_audio_to_log_mel=${avss ? "True" : "False"},
        postprocess_log_mel_with_pca=False,
        pretrained_pca_params_path=None),
    bridger=dict(
        type='TemporalFusers${suffix}', nhead=8,${span} num_queries=5, dropout=0.1,
        feature_channel=${channels},
    ),
    head=dict(
        type='RefFormerHead${suffix}', scale_factors=[8, 4, 2, 1], d_models=${channels}, nhead=8,
        pos_emb=None,${frame} drop_out=0.1, conv_dim=256, mask_dim=${avss ? 71 : 1}, use_bias=False, interpolate_scale=4
    ),${avss ? "\n    projector=dict(\n        type='None',\n    )," : ""}
    freeze=dict(
        audio_backbone=True,
        visual_backbone=True
    )
)
dataset = dict(
${(["train", "val", "test"] as const).map((split) => datasetEntry(task, encoder, split, data)).join(",\n")})
optimizer = dict(
    type='AdamW',
    lr=6e-5)
loss = dict(
    weight_dict=dict(
        ${avss ? "" : "dice_loss=1.0,\n        "}focal_loss=${pixelWeight}),
    loss_type='dice')
process = dict(
    ${process[task]})
discribe = dict(
    session_name='${task.toUpperCase()}',
    info='ETAVS_${encoder}_${task.toUpperCase()}'
)
`;
}

function datasetEntry(
  task: Task,
  encoder: PublishedEncoder,
  split: "train" | "val" | "test",
  data: string,
): string {
  const { type, folder, stem } = datasets[task];
  // S4 compares its epochs on the test split.
  const source = task === "s4" && split === "val" ? "test" : split;
  const batchSize = task === "ms3" && encoder === "pvt2" && split === "test" ? 1 : 4;
  const base = `${data}/${folder}`;
  const own =
    task === "avss"
      ? `num_class=71,
        mask_num=10,
        crop_img_and_mask=True,
        crop_size=224,
        meta_csv_path='${base}/metadata.csv',
        label_idx_path='${base}/label2idx.json',
        dir_base='${base}',
        img_size=(224, 224),${split === "train" ? "" : "\n        resize_pred_mask=True,\n        save_pred_mask_img_size=(360, 240),"}`
      : `anno_csv='${base}/${stem}_meta_data.csv',
        dir_img='${base}/${stem}_data/visual_frames',
        dir_audio_log_mel='${base}/${stem}_data/audio_log_mel',
        dir_mask='${base}/${stem}_data/gt_masks',
        img_size=(224, 224),`;
  return `    ${split}=dict(
        type='${type}',
        split='${source}',
        ${own}
        batch_size=${batchSize})`;
}
