// RUN: imcc opt %s --pass-pipeline 'canonicalize'
// A constant behind a product joins it as its bias, and two bounds in a row become one.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %w = "imcc.constant"() {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
    %k = "imcc.constant"() {value = dense<[5.0, 6.0]> : tensor<2xf32>} : () -> tensor<2xf32>
    %m = "imcc.matmul"(%x, %w) {origin = ["MatMul_0"]} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
    %a = "imcc.add"(%m, %k) {origin = ["Add_1"]} : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
    %r = "imcc.relu"(%a) {origin = ["Relu_2"]} : (tensor<1x2xf32>) -> tensor<1x2xf32>
    %y = "imcc.clip"(%r) {low = -1.0 : f64, high = 6.0 : f64, origin = ["Clip_3"]} : (tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK-NOT: "imcc.add"
// CHECK-NOT: "imcc.relu"
// CHECK:      %a = "imcc.matmul"(%x, %w, %{{.*}}) {origin = ["MatMul_0", "Add_1"]}
// CHECK-NEXT: %y = "imcc.clip"(%a) {low = 0.0 : f64, high = 6.0 : f64, origin = ["Relu_2", "Clip_3"]}
