// RUN: imcc opt %s --pass-pipeline 'tile{adc=covering spread=2}' --expect-error

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x3x!quant.uniform<u8:f32, 0.5:3>>) -> (tensor<1x2x!quant.uniform<u8:f32, 32.0:99>>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x3x!quant.uniform<u8:f32, 0.5:3>>):
    %w = "imcc.constant"() {value = dense<[[1, -2], [3, 4], [-127, 0]]> : tensor<3x2xi8>} : () -> tensor<3x2x!quant.uniform<i8:f32:1, {0.25:0, 0.25:0}>>
    %b = "imcc.constant"() {value = dense<[0, 0]> : tensor<2xi32>} : () -> tensor<2xi32>
    %y = "imcc.qmatmul"(%x, %w, %b) {requant = {output = !quant.uniform<u8:f32, 32.0:99>, low = 0 : i64, high = 255 : i64, mode = "float24", multiplier_bits = 24 : i64}, origin = ["/fc"]} : (tensor<1x3x!quant.uniform<u8:f32, 0.5:3>>, tensor<3x2x!quant.uniform<i8:f32:1, {0.25:0, 0.25:0}>>, tensor<2xi32>) -> tensor<1x2x!quant.uniform<u8:f32, 32.0:99>>
    "func.return"(%y) : (tensor<1x2x!quant.uniform<u8:f32, 32.0:99>>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK: InputError: pass 'tile' needs a target; name one with --target
