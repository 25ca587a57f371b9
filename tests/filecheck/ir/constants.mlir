// RUN: imcc opt %s --resources
// Few elements are written out, with bits for infinities; more become resources.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x17xf32>) -> (tensor<1x17xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x17xf32>):
    %one = "imcc.constant"() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
    %odd = "imcc.constant"() {value = dense<[0xFF800000]> : tensor<1xf32>} : () -> tensor<1xf32>
    %all = "imcc.constant"() {value = dense<-2.5> : tensor<17xf32>} : () -> tensor<17xf32>
    %a = "imcc.add"(%x, %one) : (tensor<1x17xf32>, tensor<f32>) -> tensor<1x17xf32>
    %b = "imcc.mul"(%a, %odd) : (tensor<1x17xf32>, tensor<1xf32>) -> tensor<1x17xf32>
    %c = "imcc.sub"(%b, %all) : (tensor<1x17xf32>, tensor<17xf32>) -> tensor<1x17xf32>
    "func.return"(%c) : (tensor<1x17xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK: %one = "imcc.constant"() {value = dense<1.0> : tensor<f32>}
// CHECK: %odd = "imcc.constant"() {value = dense<[0xFF800000]> : tensor<1xf32>}
// CHECK: %all = "imcc.constant"() {value = dense_resource<all> : tensor<17xf32>}
// CHECK: {-#
// CHECK: all: "0x40000000000020C0000020C0
