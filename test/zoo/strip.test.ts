import { expect, test } from 'vitest';
import { channelsOf, strip } from '../../src/prune/strip.js';
import { type UnitFamily, unitsOf } from '../../src/prune/units.js';
import { zeroUnits } from '../../src/prune/zero.js';
import { analyse } from '../../src/shape/analyse.js';
import { Random } from '../../src/tensor/random.js';
import { missing, zooModel } from './zoo.js';

if (missing) console.log(`skipped: ${missing}`);

/** Models, and the least share of the zeroed units that must go. */
const models: [string, number][] = [
  ['mlp_mnist.train', 1],
  ['conv3d_small.train', 1],
  ['channel_shuffle_split_net.plain', 0.8],
  ['dcgan_generator.train', 1],
  ['espcn_x3.train', 1],
  ['pointnet.train', 1],
  ['siamese_cosine.train', 1],
  ['groupnorm_resnet_tiny.train', 1],
  ['lenet5.plain', 1],
  ['conv_vae.plain', 1],
  ['squeezenet1_1.plain', 1],
  ['yolov8_like.train', 1],
  ['shufflenet_v2_x1_0.train', 1],
  ['timm_mobilenetv3_small_050.plain', 1],
  ['mobilenet_v2.plain', 1],
  ['lstm_tagger.plain', 1],
  ['lstm_tagger.train', 1],
  ['gru_tagger.plain', 1],
  ['gru_tagger.train', 1],
  ['crnn_ocr.plain', 1],
  ['crnn_ocr.train', 1],
  ['mha_encoder_seqfirst.plain', 1],
  ['hf_bert_cls.train', 1],
  ['hf_xlnet.train', 0.95],
];

test.skipIf(missing).each(models)(
  '%s loses units that are zeroed at random, and computes the same',
  async (name, share) => {
    const { file, feeds } = zooModel(name);
    const analysis = await analyse(file, { samples: feeds });
    const channels = channelsOf(analysis);
    const { families } = unitsOf(channels);
    const random = new Random(7);
    const chosen = new Map<UnitFamily, Set<number>>(
      families.map((f) => [
        f,
        new Set(Array.from({ length: f.count }, (_, i) => i).filter(() => random.uniform() < 0.3)),
      ]),
    );
    const zeroed = { ...file, model: zeroUnits(channels, families, (f, i) => chosen.get(f)!.has(i)) };
    const count = [...chosen.values()].reduce((n, set) => n + set.size, 0);
    const { unitsBefore, unitsAfter, drift } = await strip(zeroed, await analyse(zeroed, { samples: feeds }), {
      samples: [feeds],
    });
    expect(count).toBeGreaterThan(0);
    expect(unitsBefore - unitsAfter).toBeGreaterThanOrEqual(share * count);
    expect(drift.differing).toBe(0);
  },
);
