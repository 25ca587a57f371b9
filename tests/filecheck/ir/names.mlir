// RUN: imcc opt %s
// Names that MLIR cannot spell live in attributes, and the identifiers stay unique.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x4xf32>) -> (tensor<1x4xf32>), sym_name = "main"}> ({
  ^bb0(%0: tensor<1x4xf32>):
    %1 = "imcc.relu"(%0) {names = ["a/b"], origin = ["Relu \22quoted\22"]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
    %2 = "imcc.relu"(%1) {names = ["a:b"]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
    %a_b = "imcc.relu"(%2) : (tensor<1x4xf32>) -> tensor<1x4xf32>
    "func.return"(%a_b) : (tensor<1x4xf32>) -> ()
  }) {imcc.name = "odd names", imcc.arg_names = ["x y"], imcc.output_names = ["result"]} : () -> ()
}) : () -> ()

// CHECK:       ^bb0(%x_y: tensor<1x4xf32>):
// CHECK-NEXT:    %a_b_1 = "imcc.relu"(%x_y) {origin = ["Relu \22quoted\22"], names = ["a/b"]}
// CHECK-NEXT:    %a_b_2 = "imcc.relu"(%a_b_1) {names = ["a:b"]}
// CHECK-NEXT:    %a_b = "imcc.relu"(%a_b_2) :
// CHECK:       imcc.name = "odd names"
// CHECK-SAME:  imcc.output_names = ["result"]
// CHECK-SAME:  imcc.arg_names = ["x y"]
