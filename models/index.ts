export { drawGlyph, GLYPH_SIZE, type GlyphOptions, glyphNames, writeGlyphs } from './glyphs.js';
export { type MlpOptions, mlp } from './mlp.js';
export { type MnistConvNetOptions, mnistConvNet } from './mnistConvNet.js';
export { type MobileNetLikeOptions, mobileNetLike } from './mobileNetLike.js';
export { type Feature, type Init, Net } from './net.js';
export { type ResnetOptions, resnet } from './resnet.js';
export { type SqueezeConcatOptions, squeezeConcat } from './squeezeConcat.js';
export { type VggOptions, vgg } from './vgg.js';
