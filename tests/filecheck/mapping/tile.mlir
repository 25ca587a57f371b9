// RUN: imcc opt %s --pass-pipeline 'tile' --target neurram
// Differential rows: the negative cells lie below the positive ones, in the same columns.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x3x!quant.uniform<u8:f32, 0.5:3>>) -> (tensor<1x2x!quant.uniform<u8:f32, 32.0:99>>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x3x!quant.uniform<u8:f32, 0.5:3>>):
    %w = "imcc.constant"() {value = dense<[[1, -2], [3, 4], [-127, 0]]> : tensor<3x2xi8>} : () -> tensor<3x2x!quant.uniform<i8:f32:1, {0.25:0, 0.25:0}>>
    %b = "imcc.constant"() {value = dense<[0, 0]> : tensor<2xi32>} : () -> tensor<2xi32>
    %y = "imcc.qmatmul"(%x, %w, %b) {requant = {output = !quant.uniform<u8:f32, 32.0:99>, low = 0 : i64, high = 255 : i64, mode = "float24", multiplier_bits = 24 : i64}, origin = ["/fc"]} : (tensor<1x3x!quant.uniform<u8:f32, 0.5:3>>, tensor<3x2x!quant.uniform<i8:f32:1, {0.25:0, 0.25:0}>>, tensor<2xi32>) -> tensor<1x2x!quant.uniform<u8:f32, 32.0:99>>
    "func.return"(%y) : (tensor<1x2x!quant.uniform<u8:f32, 32.0:99>>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK: %y = "imcc.tiled"(%x, %w, %b) {product = {op = "imcc.qmatmul"
// CHECK-SAME: plan = {home = 0 : i64, shards = [{core = 0 : i64, c0 = 0 : i64, c1 = 3 : i64, n0 = 0 : i64, n1 = 2 : i64
// CHECK-SAME: slices = [{bits = 4 : i64, coefficient = 1 : i64}, {bits = 3 : i64, coefficient = 16 : i64}]
// CHECK-SAME: adcs = [{bits = 10 : i64, low = -512 : i64, step = 1 : i64}
// CHECK-SAME: {array = 0 : i64, row = 0 : i64, col = 2 : i64, k = 0 : i64, rows = 3 : i64, n = 0 : i64, cols = 2 : i64, slice = 1 : i64, negative = false, copy = 0 : i64}
// CHECK-SAME: {array = 0 : i64, row = 3 : i64, col = 2 : i64, k = 0 : i64, rows = 3 : i64, n = 0 : i64, cols = 2 : i64, slice = 1 : i64, negative = true, copy = 0 : i64}
// CHECK-SAME: subtract_analog = true, bound = 32385 : i64, block_rows = 3 : i64, block_cols = 2 : i64, copies = 1 : i64
