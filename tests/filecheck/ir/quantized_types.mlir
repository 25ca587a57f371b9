// RUN: imcc opt %s
// Quantized types are those of MLIR's quant dialect; scales print with the fewest digits.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %q = "imcc.quantize"(%x) {output = !quant.uniform<u8<0:15>:f32, 0.100000001490116:3>} : (tensor<1x2xf32>) -> tensor<1x2x!quant.uniform<u8<0:15>:f32, 0.1:3>>
    %y = "imcc.dequantize"(%q) : (tensor<1x2x!quant.uniform<u8<0:15>:f32, 0.1:3>>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK: %q = "imcc.quantize"(%x) {output = !quant.uniform<u8<0:15>:f32, 0.1:3>} : (tensor<1x2xf32>) -> tensor<1x2x!quant.uniform<u8<0:15>:f32, 0.1:3>>
