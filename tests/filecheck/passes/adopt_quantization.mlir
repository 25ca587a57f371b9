// RUN: imcc opt %s --pass-pipeline 'adopt-quantization'
// A quantized model keeps its scales. Signed codes of the input become unsigned by a table; weights
// lose their zero point; the Relu becomes the lower bound of the output stage; the result leaves as
// the signed codes that the model has.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2x!quant.uniform<i8:f32, 0.5:3>>) -> (tensor<1x2x!quant.uniform<i8:f32, 0.25:-100>>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2x!quant.uniform<i8:f32, 0.5:3>>):
    %c = "imcc.constant"() {value = dense<[[7, 3], [-7, 1]]> : tensor<2x2xi8>} : () -> tensor<2x2x!quant.uniform<i8:f32, 0.125:-1>>
    %r = "imcc.dequantize"(%x) {origin = ["DQ_0"]} : (tensor<1x2x!quant.uniform<i8:f32, 0.5:3>>) -> tensor<1x2xf32>
    %w = "imcc.dequantize"(%c) {origin = ["DQ_1"]} : (tensor<2x2x!quant.uniform<i8:f32, 0.125:-1>>) -> tensor<2x2xf32>
    %m = "imcc.matmul"(%r, %w) {origin = ["Gemm_2"]} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
    %a = "imcc.relu"(%m) {origin = ["Relu_3"]} : (tensor<1x2xf32>) -> tensor<1x2xf32>
    %y = "imcc.quantize"(%a) {output = !quant.uniform<i8:f32, 0.25:-100>, origin = ["Q_4"]} : (tensor<1x2xf32>) -> tensor<1x2x!quant.uniform<i8:f32, 0.25:-100>>
    "func.return"(%y) : (tensor<1x2x!quant.uniform<i8:f32, 0.25:-100>>) -> ()
  }) {imcc.output_names = ["y"]} : () -> ()
}) : () -> ()

// CHECK:     %w = "imcc.constant"() {value = dense<{{\[\[}}8, 4], [-6, 2{{\]\]}}> : tensor<2x2xi8>}
// CHECK-SAME: i8<-16:15>:f32:1, {0.125:0, 0.125:0}
// CHECK:     "imcc.enter"(%x)
// CHECK:     "imcc.qunary"{{.*}} output = !quant.uniform<u8:f32, 0.5:131>
// CHECK:     "imcc.qmatmul"
// CHECK-SAME: low = 28 : i64, high = 255 : i64
// CHECK-SAME: origin = ["Gemm_2", "Relu_3"]
// CHECK:     "imcc.qunary"{{.*}} output = !quant.uniform<i8:f32, 0.25:-100>
// CHECK:     "imcc.leave"
// CHECK-SAME: -> tensor<1x2xi8>
